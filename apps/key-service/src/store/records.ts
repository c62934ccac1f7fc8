// The rows of an open store. A row shows its kind and tenant; owner and id are keyed hashes and the content is sealed, bound to
// where it stands: a stolen file names no address, and whoever can write to it cannot forge, move or swap a row.

import { createHmac } from 'node:crypto';
import { fail, readFrame, writeFrame } from '@sealpost/core';
import { box, unbox } from '../vault/box.ts';
import type { Keks } from '../vault/keks.ts';
import type { Row, RowPlace } from './database.ts';
import type { Transactions } from './transactions.ts';

type RecordKind =
  | 'key'
  | 'certificate'
  | 'anchor'
  | 'audit-head'
  | 'policy'
  | 'person'
  | 'factor'
  | 'code'
  | 'act'
  | 'outbox'
  | 'revocation';

/** Where a row stands. `id` is unique in its kind; `owner` groups rows, an address or the name of a part of the gateway. */
export interface RecordName {
  readonly kind: RecordKind;
  readonly tenant: string;
  readonly owner: string;
  readonly id: string;
}

export interface Records extends Pick<Transactions, 'transaction' | 'whenCommitted' | 'scrub'> {
  /** Throws RowTaken when the id is there already. */
  insert(name: RecordName, content: Buffer): Promise<void>;
  replace(name: RecordName, content: Buffer): Promise<void>;
  /** The content becomes what `change` makes of the one that stands there. False when there is none. */
  change(name: RecordName, change: (content: Buffer) => Buffer): Promise<boolean>;
  remove(name: RecordName): Promise<boolean>;
  get(name: RecordName): Promise<Buffer | undefined>;
  /** Contents of all rows of an owner. */
  ofOwner(kind: RecordKind, tenant: string, owner: string): Promise<Buffer[]>;
  /** Contents of all rows of a tenant. */
  ofTenant(kind: RecordKind, tenant: string): Promise<Buffer[]>;
  /**
   * Goes through at most `limit` rows behind a place, all in one transaction, and seals those anew that an older KEK sealed or of
   * whose content `change` makes another one. Gives the last place, undefined at the end.
   */
  renew(
    after: RowPlace | undefined,
    limit: number,
    change: (kind: string, content: Buffer) => Buffer,
  ): Promise<Renewed>;
}

interface Renewed {
  readonly last?: RowPlace;
  readonly changed: number;
}

/** Somebody else was there first. */
class RowTaken extends Error {
  override readonly name = 'RowTaken';

  constructor() {
    super('the row is there already');
  }
}

const recordVersion = 1;
/** AES-256-GCM; names by HMAC-SHA256. */
const recordSuite = 1;

export function openRecords(rows: Transactions, keks: Keks): Records {
  const index = (...parts: readonly string[]): Buffer =>
    createHmac('sha256', keks.newest('index').key)
      .update(writeFrame(recordVersion, recordSuite, parts))
      .digest();
  const ownerOf = (kind: string, tenant: string, owner: string) => index('owner', kind, tenant, owner);
  const placeOf = ({ kind, tenant, owner, id }: RecordName) => ({ kind, id: index('id', kind, tenant, owner, id) });

  function rowOf(name: RecordName, content: Buffer): Row {
    const { kind, tenant, owner } = name;
    return seal({ ...placeOf(name), tenant, owner: ownerOf(kind, tenant, owner) }, content);
  }

  function seal(row: Omit<Row, 'sealed'>, content: Buffer): Row {
    const { version, key } = keks.newest('record');
    const head = writeFrame(recordVersion, recordSuite, [String(version)]);
    return { ...row, sealed: Buffer.concat([head, box(key, content, bound(row))]) };
  }

  function open(row: Row): Buffer {
    const { version, end } = kekOf(row);
    return unbox(keks.at('record', version), row.sealed.subarray(end), bound(row));
  }

  return {
    transaction: rows.transaction,
    whenCommitted: rows.whenCommitted,
    scrub: rows.scrub,
    insert: (name, content) =>
      rows.transaction(async () => {
        if (await rows.get(placeOf(name))) throw new RowTaken();
        await rows.put({ of: 'row', after: rowOf(name, content) });
      }),
    replace: (name, content) =>
      rows.transaction(async () => {
        const before = await rows.get(placeOf(name));
        await rows.put({ of: 'row', before, after: rowOf(name, content) });
      }),
    change: (name, change) =>
      rows.transaction(async () => {
        const before = await rows.get(placeOf(name));
        if (before) await rows.put({ of: 'row', before, after: seal(before, change(open(before))) });
        return before !== undefined;
      }),
    remove: (name) =>
      rows.transaction(async () => {
        const before = await rows.get(placeOf(name));
        if (before) await rows.put({ of: 'row', before });
        return before !== undefined;
      }),
    async get(name) {
      const row = await rows.get(placeOf(name));
      return row && open(row);
    },
    ofOwner: async (kind, tenant, owner) => (await rows.ofOwner(kind, tenant, ownerOf(kind, tenant, owner))).map(open),
    ofTenant: async (kind, tenant) => (await rows.ofTenant(kind, tenant)).map(open),
    renew: (after, limit, change) =>
      rows.transaction(async () => {
        const batch = await rows.after(after, limit);
        let changed = 0;
        for (const before of batch) {
          const content = open(before);
          const wanted = change(before.kind, content);
          if (wanted === content && kekOf(before).version === keks.newest('record').version) continue;
          await rows.put({ of: 'row', before, after: seal(before, wanted) });
          changed += 1;
        }
        const last = batch.at(-1);
        return last && batch.length === limit ? { last, changed } : { changed };
      }),
  };
}

/** The version of the KEK that a row is sealed under, and where the sealed content begins. */
function kekOf({ sealed }: Row): { version: number; end: number } {
  if (sealed[0] !== recordVersion || sealed[1] !== recordSuite) throw fail('version-unsupported');
  const { fields, end } = readFrame(sealed, 1);
  return { version: Number(fields[0]?.toString()), end };
}

function bound({ kind, tenant, owner, id }: Omit<Row, 'sealed'>): Buffer {
  return writeFrame(recordVersion, recordSuite, ['sealpost record', kind, tenant, owner, id]);
}
