// What the store shows without being open: its id, its slots and wrapped KEKs, and the mark of the development slot.

import { randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import type { SlotKind } from '@sealpost/service';
import { type KekUse, kekUses, type WrappedKek } from '../vault/keks.ts';
import type { Slot } from '../vault/slots.ts';

export interface OuterStore {
  /** Made once, bound into everything that the store seals. */
  readonly id: string;
  /** Once opened by the development slot, marked for ever. */
  readonly development: boolean;
  readonly slots: readonly Slot[];
  readonly keks: readonly WrappedKek[];
}

/** What is in the store so far; undefined before it was initialised. */
export function readOuter(database: DatabaseSync): OuterStore | undefined {
  const meta = (name: string) => database.prepare('SELECT value FROM meta WHERE name = ?').get(name)?.value;
  const id = meta('store-id');
  if (id === undefined) return undefined;
  return {
    id: String(id),
    development: meta('development') !== undefined,
    slots: readSlots(database),
    keks: database
      .prepare('SELECT use, version, wrapped FROM keks')
      .all()
      .filter((row) => kekUses.includes(row.use as KekUse))
      .map((row) => ({ use: row.use as KekUse, version: Number(row.version), wrapped: blob(row.wrapped) })),
  };
}

/** In the order in which they were made. */
export function readSlots(database: DatabaseSync): Slot[] {
  return database
    .prepare('SELECT label, kind, created, bytes FROM slots ORDER BY id')
    .all()
    .map(({ label, kind, created, bytes }) => ({
      label: String(label),
      kind: kind as SlotKind,
      ...(typeof created === 'string' ? { createdAt: new Date(created) } : {}),
      bytes: blob(bytes),
    }));
}

export function addSlot(database: DatabaseSync, { label, kind, createdAt, bytes }: Slot): void {
  const insert = database.prepare('INSERT INTO slots (label, kind, created, bytes) VALUES (?, ?, ?, ?)');
  insert.run(label, kind, createdAt?.toISOString() ?? null, bytes);
}

export function removeSlot(database: DatabaseSync, label: string): void {
  database.prepare('DELETE FROM slots WHERE label = ?').run(label);
}

/** The store was opened by a file that was made for development: it stays marked. */
export function markDevelopment(database: DatabaseSync): void {
  database.exec("INSERT OR IGNORE INTO meta (name, value) VALUES ('development', 'once')");
}

/** A fresh id for a store about to be made. */
export function newStoreId(): string {
  return randomBytes(16).toString('hex');
}

/** Writes a new store's outside in one transaction. */
export function writeOuter(database: DatabaseSync, outer: OuterStore): void {
  database.exec('BEGIN IMMEDIATE');
  const meta = database.prepare('INSERT INTO meta (name, value) VALUES (?, ?)');
  meta.run('store-id', outer.id);
  if (outer.development) meta.run('development', 'once');
  for (const slot of outer.slots) addSlot(database, slot);
  const kek = database.prepare('INSERT INTO keks (use, version, wrapped) VALUES (?, ?, ?)');
  for (const { use, version, wrapped } of outer.keks) kek.run(use, version, wrapped);
  database.exec('COMMIT');
}

function blob(value: unknown): Buffer {
  return value instanceof Uint8Array ? Buffer.from(value) : Buffer.alloc(0);
}
