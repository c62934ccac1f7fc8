// The rows of an open store. A row shows its kind and tenant; owner and id are keyed hashes and the content is sealed, bound to
// where it stands: a stolen file names no address, and whoever can write to it cannot forge, move or swap a row.

import { createHmac } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { fail, readFrame, writeFrame } from '@sealpost/core';
import { box, unbox } from '../vault/box.ts';
import type { Keks } from '../vault/keks.ts';

type RecordKind = 'key' | 'certificate' | 'anchor' | 'audit-head' | 'policy' | 'person' | 'factor' | 'code' | 'act';

/** Where a row stands. `id` is unique in its kind; `owner` groups rows, an address or the name of a part of the gateway. */
export interface RecordName {
  readonly kind: RecordKind;
  readonly tenant: string;
  readonly owner: string;
  readonly id: string;
}

export interface Records {
  /** Throws `Exists` of SQLite when the id is taken. */
  insert(name: RecordName, content: Buffer): void;
  replace(name: RecordName, content: Buffer): void;
  get(name: RecordName): Buffer | undefined;
  /** Contents of all rows of an owner. */
  ofOwner(kind: RecordKind, tenant: string, owner: string): Buffer[];
  /** Contents of all rows of a tenant. */
  ofTenant(kind: RecordKind, tenant: string): Buffer[];
  /** All or nothing, on disk when it returns. */
  transaction<T>(run: () => T): T;
}

const recordVersion = 1;
/** AES-256-GCM; names by HMAC-SHA256. */
const recordSuite = 1;

export function openRecords(database: DatabaseSync, keks: Keks): Records {
  const columns = 'kind, tenant, owner, id, sealed';
  const insert = database.prepare(`INSERT INTO records (${columns}) VALUES (?, ?, ?, ?, ?)`);
  const replace = database.prepare(`INSERT OR REPLACE INTO records (${columns}) VALUES (?, ?, ?, ?, ?)`);
  const byId = database.prepare(
    `SELECT ${columns} FROM records WHERE kind = ? AND id = ? AND tenant = ? AND owner = ?`,
  );
  const byOwner = database.prepare(`SELECT ${columns} FROM records WHERE kind = ? AND tenant = ? AND owner = ?`);
  const byTenant = database.prepare(`SELECT ${columns} FROM records WHERE kind = ? AND tenant = ?`);

  const index = (...parts: readonly string[]): Buffer =>
    createHmac('sha256', keks.newest('index').key)
      .update(writeFrame(recordVersion, recordSuite, parts))
      .digest();
  const ownerOf = (kind: string, tenant: string, owner: string) => index('owner', kind, tenant, owner);
  const idOf = ({ kind, tenant, owner, id }: RecordName) => index('id', kind, tenant, owner, id);

  function write(statement: StatementSync, name: RecordName, content: Buffer): void {
    const owner = ownerOf(name.kind, name.tenant, name.owner);
    const id = idOf(name);
    const { version, key } = keks.newest('record');
    const sealed = writeFrame(recordVersion, recordSuite, [String(version)]);
    const boxed = box(key, content, bound(name.kind, name.tenant, owner, id));
    statement.run(name.kind, name.tenant, owner, id, Buffer.concat([sealed, boxed]));
  }

  function open(row: Record<string, unknown>): Buffer {
    const sealed = bytes(row.sealed);
    if (sealed[0] !== recordVersion || sealed[1] !== recordSuite) throw fail('version-unsupported');
    const { fields, end } = readFrame(sealed, 1);
    const key = keks.at('record', Number(fields[0]?.toString()));
    return unbox(
      key,
      sealed.subarray(end),
      bound(String(row.kind), String(row.tenant), bytes(row.owner), bytes(row.id)),
    );
  }

  return {
    insert: (name, content) => write(insert, name, content),
    replace: (name, content) => write(replace, name, content),
    get(name) {
      const row = byId.get(name.kind, idOf(name), name.tenant, ownerOf(name.kind, name.tenant, name.owner));
      return row && open(row);
    },
    ofOwner: (kind, tenant, owner) => byOwner.all(kind, tenant, ownerOf(kind, tenant, owner)).map(open),
    ofTenant: (kind, tenant) => byTenant.all(kind, tenant).map(open),
    transaction(run) {
      database.exec('BEGIN IMMEDIATE');
      try {
        const result = run();
        database.exec('COMMIT');
        return result;
      } catch (error) {
        database.exec('ROLLBACK');
        throw error;
      }
    },
  };
}

function bound(kind: string, tenant: string, owner: Buffer, id: Buffer): Buffer {
  return writeFrame(recordVersion, recordSuite, ['sealpost record', kind, tenant, owner, id]);
}

function bytes(value: unknown): Buffer {
  if (!(value instanceof Uint8Array)) throw fail('sealed-malformed');
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}
