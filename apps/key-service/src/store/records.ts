// The rows of an open store. A row shows its kind and tenant; owner and id are keyed hashes and the content is sealed, bound to
// where it stands: a stolen file names no address, and whoever can write to it cannot forge, move or swap a row.

import { createHmac } from 'node:crypto';
import { fail, readFrame, writeFrame } from '@sealpost/core';
import { box, unbox } from '../vault/box.ts';
import type { Keks } from '../vault/keks.ts';
import type { Row, RowPlace, Rows } from './rows.ts';

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

export interface Records {
  /** Throws RowTaken when the id is there already. */
  insert(name: RecordName, content: Buffer): void;
  replace(name: RecordName, content: Buffer): void;
  /** Compare-and-swap: the content is what `change` makes of the one that stands there. False when there is none or it moved. */
  change(name: RecordName, change: (content: Buffer) => Buffer): boolean;
  remove(name: RecordName): boolean;
  get(name: RecordName): Buffer | undefined;
  /** Contents of all rows of an owner. */
  ofOwner(kind: RecordKind, tenant: string, owner: string): Buffer[];
  /** Contents of all rows of a tenant. */
  ofTenant(kind: RecordKind, tenant: string): Buffer[];
  /**
   * Goes through at most `limit` rows behind a place, all in one transaction, and seals those anew that an older KEK sealed or of
   * whose content `change` makes another one. Gives the last place, undefined at the end.
   */
  renew(after: RowPlace | undefined, limit: number, change: (kind: string, content: Buffer) => Buffer): Renewed;
  /** What was removed or replaced is overwritten on disk too when it returns. */
  scrub(): void;
  /** All or nothing, on disk when it returns. */
  transaction<T>(run: () => T): T;
}

interface Renewed {
  readonly last?: RowPlace;
  readonly changed: number;
}

const recordVersion = 1;
/** AES-256-GCM; names by HMAC-SHA256. */
const recordSuite = 1;

export function openRecords(rows: Rows, keks: Keks): Records {
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
    insert: (name, content) => rows.insert(rowOf(name, content)),
    replace: (name, content) => rows.replace(rowOf(name, content)),
    change(name, change) {
      const row = rows.get(placeOf(name));
      return row !== undefined && rows.swap(seal(row, change(open(row))), row.sealed);
    },
    remove: (name) => rows.remove(placeOf(name)),
    get(name) {
      const row = rows.get(placeOf(name));
      return row && open(row);
    },
    ofOwner: (kind, tenant, owner) => rows.ofOwner(kind, tenant, ownerOf(kind, tenant, owner)).map(open),
    ofTenant: (kind, tenant) => rows.ofTenant(kind, tenant).map(open),
    renew: (after, limit, change) =>
      rows.transaction(() => {
        const batch = rows.after(after, limit);
        const changed = batch.filter((row) => {
          const content = open(row);
          const wanted = change(row.kind, content);
          if (wanted === content && kekOf(row).version === keks.newest('record').version) return false;
          return rows.swap(seal(row, wanted), row.sealed);
        }).length;
        const last = batch.at(-1);
        return last && batch.length === limit ? { last, changed } : { changed };
      }),
    scrub: rows.scrub,
    transaction: rows.transaction,
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
