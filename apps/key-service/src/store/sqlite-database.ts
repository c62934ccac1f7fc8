// The store's database in SQLite (see sqlite-file.ts for durability). A commit is one synchronous transaction.

import type { DatabaseSync } from 'node:sqlite';
import { fail } from '@sealpost/core';
import type { SlotKind } from '@sealpost/service';
import { type KekUse, kekUses, type WrappedKek } from '../vault/keks.ts';
import type { Slot } from '../vault/slots.ts';
import { type Change, ChangeConflict, type Database, type Meta, type Row } from './database.ts';
import { openSqliteFile } from './sqlite-file.ts';

type Columns = Record<string, unknown>;
type Value = string | number | Buffer | null;

/** Opens the store in a directory, making it when `create` says so. Throws SetupError. */
export async function openDatabase(directory: string, create = false): Promise<Database> {
  return sqliteDatabase(openSqliteFile(directory, create));
}

function sqliteDatabase(file: DatabaseSync): Database {
  const columns = 'kind, tenant, owner, id, sealed';
  const byId = file.prepare(`SELECT ${columns} FROM records WHERE kind = ? AND id = ?`);
  const byOwner = file.prepare(`SELECT ${columns} FROM records WHERE kind = ? AND tenant = ? AND owner = ?`);
  const byTenant = file.prepare(`SELECT ${columns} FROM records WHERE kind = ? AND tenant = ?`);
  const first = file.prepare(`SELECT ${columns} FROM records ORDER BY kind, id LIMIT ?`);
  const next = file.prepare(`SELECT ${columns} FROM records WHERE (kind, id) > (?, ?) ORDER BY kind, id LIMIT ?`);
  const meta = file.prepare('SELECT name, value FROM meta ORDER BY name');
  const slots = file.prepare('SELECT label, kind, created, bytes FROM slots ORDER BY id');
  const keks = file.prepare('SELECT use, version, wrapped FROM keks ORDER BY use, version');

  const row = tableOf<Row>('records', ['kind', 'tenant', 'owner', 'id', 'sealed'], (each) => [
    each.kind,
    each.tenant,
    each.owner,
    each.id,
    each.sealed,
  ]);
  const kek = tableOf<WrappedKek>('keks', ['use', 'version', 'wrapped'], ({ use, version, wrapped }) => [
    use,
    version,
    wrapped,
  ]);
  const slot = tableOf<Slot>('slots', ['label', 'kind', 'created', 'bytes'], ({ label, kind, createdAt, bytes }) => [
    label,
    kind,
    createdAt?.toISOString() ?? null,
    bytes,
  ]);
  const fact = tableOf<Meta>('meta', ['name', 'value'], ({ name, value }) => [name, value]);

  /** Writes one thing of a table if it stands there as it was found; how many rows that changed. */
  function tableOf<T>(table: string, names: readonly string[], valuesOf: (thing: T) => Value[]) {
    const marks = names.map(() => '?').join(', ');
    const set = names.map((name) => `${name} = ?`).join(', ');
    // IS: a slot of an early version says no time.
    const where = names.map((name) => `${name} IS ?`).join(' AND ');
    const insert = file.prepare(`INSERT INTO ${table} (${names.join(', ')}) VALUES (${marks}) ON CONFLICT DO NOTHING`);
    const update = file.prepare(`UPDATE ${table} SET ${set} WHERE ${where}`);
    const remove = file.prepare(`DELETE FROM ${table} WHERE ${where}`);
    return (before: T | undefined, after: T | undefined): number | bigint => {
      if (before === undefined) return after === undefined ? 1 : insert.run(...valuesOf(after)).changes;
      if (after === undefined) return remove.run(...valuesOf(before)).changes;
      return update.run(...valuesOf(after), ...valuesOf(before)).changes;
    };
  }

  function write(change: Change): number | bigint {
    switch (change.of) {
      case 'row':
        return row(change.before, change.after);
      case 'kek':
        return kek(change.before, change.after);
      case 'slot':
        return slot(change.before, change.after);
      case 'meta':
        return fact(change.before, change.after);
    }
  }

  return {
    outside: async () => ({
      meta: meta.all().map(({ name, value }) => ({ name: String(name), value: String(value) })),
      slots: slots.all().map(slotOf),
      keks: keks
        .all()
        .filter(({ use }) => kekUses.includes(use as KekUse))
        .map(kekOf),
    }),
    async get({ kind, id }) {
      const found = byId.get(kind, id);
      return found && rowOf(found);
    },
    ofOwner: async (kind, tenant, owner) => byOwner.all(kind, tenant, owner).map(rowOf),
    ofTenant: async (kind, tenant) => byTenant.all(kind, tenant).map(rowOf),
    after: async (place, limit) => (place ? next.all(place.kind, place.id, limit) : first.all(limit)).map(rowOf),
    async commit(changes) {
      file.exec('BEGIN IMMEDIATE');
      try {
        if (changes.some((change) => Number(write(change)) !== 1)) throw new ChangeConflict();
        file.exec('COMMIT');
      } catch (error) {
        // A disk that is full may have rolled back by itself.
        if (file.isTransaction) file.exec('ROLLBACK');
        throw error;
      }
    },
    // Deleted content is zeroed in the pages already (sqlite-file.ts); this empties the write-ahead log of their older forms.
    scrub: async () => file.exec('PRAGMA wal_checkpoint(TRUNCATE)'),
    close: async () => file.close(),
  };
}

function rowOf({ kind, tenant, owner, id, sealed }: Columns): Row {
  return { kind: String(kind), tenant: String(tenant), owner: bytes(owner), id: bytes(id), sealed: bytes(sealed) };
}

function slotOf({ label, kind, created, bytes: form }: Columns): Slot {
  return {
    label: String(label),
    kind: kind as SlotKind,
    ...(typeof created === 'string' ? { createdAt: new Date(created) } : {}),
    bytes: bytes(form),
  };
}

function kekOf({ use, version, wrapped }: Columns): WrappedKek {
  return { use: use as KekUse, version: Number(version), wrapped: bytes(wrapped) };
}

function bytes(value: unknown): Buffer {
  if (!(value instanceof Uint8Array)) throw fail('sealed-malformed');
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}
