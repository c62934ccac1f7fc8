// Rows in SQLite (see database.ts for durability).

import type { DatabaseSync } from 'node:sqlite';
import { fail } from '@sealpost/core';
import { type KekUse, kekUses } from '../vault/keks.ts';
import { type Row, type Rows, RowTaken } from './rows.ts';

type Columns = Record<string, unknown>;
/** Extended result codes of a primary key that is there already: with and without a row id. */
const takenCodes: readonly unknown[] = [1555, 2067];

export function sqliteRows(database: DatabaseSync): Rows {
  const columns = 'kind, tenant, owner, id, sealed';
  const insert = database.prepare(`INSERT INTO records (${columns}) VALUES (?, ?, ?, ?, ?)`);
  const replace = database.prepare(`INSERT OR REPLACE INTO records (${columns}) VALUES (?, ?, ?, ?, ?)`);
  const swap = database.prepare(
    'UPDATE records SET tenant = ?, owner = ?, sealed = ? WHERE kind = ? AND id = ? AND sealed = ?',
  );
  const remove = database.prepare('DELETE FROM records WHERE kind = ? AND id = ?');
  const byId = database.prepare(`SELECT ${columns} FROM records WHERE kind = ? AND id = ?`);
  const byOwner = database.prepare(`SELECT ${columns} FROM records WHERE kind = ? AND tenant = ? AND owner = ?`);
  const byTenant = database.prepare(`SELECT ${columns} FROM records WHERE kind = ? AND tenant = ?`);
  const first = database.prepare(`SELECT ${columns} FROM records ORDER BY kind, id LIMIT ?`);
  const next = database.prepare(`SELECT ${columns} FROM records WHERE (kind, id) > (?, ?) ORDER BY kind, id LIMIT ?`);
  const keks = database.prepare('SELECT use, version, wrapped FROM keks ORDER BY use, version');
  const addKek = database.prepare('INSERT INTO keks (use, version, wrapped) VALUES (?, ?, ?)');
  const removeKek = database.prepare('DELETE FROM keks WHERE use = ? AND version = ?');
  let isInside = false;

  return {
    insert: ({ kind, tenant, owner, id, sealed }) => orTaken(() => insert.run(kind, tenant, owner, id, sealed)),
    replace({ kind, tenant, owner, id, sealed }) {
      replace.run(kind, tenant, owner, id, sealed);
    },
    swap: ({ kind, tenant, owner, id, sealed }, before) =>
      swap.run(tenant, owner, sealed, kind, id, before).changes === 1,
    remove: ({ kind, id }) => remove.run(kind, id).changes === 1,
    get({ kind, id }) {
      const found = byId.get(kind, id);
      return found && rowOf(found);
    },
    ofOwner: (kind, tenant, owner) => byOwner.all(kind, tenant, owner).map(rowOf),
    ofTenant: (kind, tenant) => byTenant.all(kind, tenant).map(rowOf),
    after: (place, limit) => (place ? next.all(place.kind, place.id, limit) : first.all(limit)).map(rowOf),
    keks: () =>
      keks
        .all()
        .filter(({ use }) => kekUses.includes(use as KekUse))
        .map(({ use, version, wrapped }) => ({
          use: use as KekUse,
          version: Number(version),
          wrapped: bytes(wrapped),
        })),
    addKek: ({ use, version, wrapped }) => orTaken(() => addKek.run(use, version, wrapped)),
    removeKek({ use, version }) {
      removeKek.run(use, version);
    },
    // Deleted content is zeroed in the pages already (database.ts); this empties the write-ahead log of their older forms.
    scrub: () => database.exec('PRAGMA wal_checkpoint(TRUNCATE)'),
    transaction(run) {
      if (isInside) return run();
      database.exec('BEGIN IMMEDIATE');
      isInside = true;
      try {
        const result = run();
        database.exec('COMMIT');
        return result;
      } catch (error) {
        // A disk that is full may have rolled back by itself.
        if (database.isTransaction) database.exec('ROLLBACK');
        throw error;
      } finally {
        isInside = false;
      }
    },
  };
}

function orTaken(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    if (takenCodes.includes((error as { errcode?: unknown }).errcode)) throw new RowTaken();
    throw error;
  }
}

function rowOf({ kind, tenant, owner, id, sealed }: Columns): Row {
  return { kind: String(kind), tenant: String(tenant), owner: bytes(owner), id: bytes(id), sealed: bytes(sealed) };
}

function bytes(value: unknown): Buffer {
  if (!(value instanceof Uint8Array)) throw fail('sealed-malformed');
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}
