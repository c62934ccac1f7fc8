// The seam under the store: what a database must do for it. Everything comes sealed and goes sealed, so a database learns kinds,
// tenants and counts and nothing else. It reads, and it commits: a commit is one list of changes, each of which says what it found,
// so no transaction is held open across the seam and a database with several writers can follow. SQLite and a memory twin pass one
// contract suite (test/database.test.ts).

import type { WrappedKek } from '../vault/keks.ts';
import type { Slot } from '../vault/slots.ts';

export interface Row {
  readonly kind: string;
  readonly tenant: string;
  /** Keyed hashes, 32 bytes. */
  readonly owner: Buffer;
  readonly id: Buffer;
  readonly sealed: Buffer;
}

/** Where a row stands among all others: the order of `after`. */
export type RowPlace = Pick<Row, 'kind' | 'id'>;

/** A fact about the store itself. */
export interface Meta {
  readonly name: string;
  readonly value: string;
}

/** What the store shows without being open. Slots stand in the order in which they were made. */
export interface Outside {
  readonly meta: readonly Meta[];
  readonly slots: readonly Slot[];
  readonly keks: readonly WrappedKek[];
}

/** What a database holds, by kind. */
export interface Things {
  readonly row: Row;
  readonly kek: WrappedKek;
  readonly slot: Slot;
  readonly meta: Meta;
}

/**
 * One thing and what becomes of it. `before`: what stands there now, and must when it is committed; without it, nothing does. `after`:
 * what stands there then, at the same place; without it, nothing. The place is the kind and id of a row, the use and version of a
 * KEK, the label of a slot, the name of a fact.
 */
export type Change = { [K in keyof Things]: Of<K, Things[K]> }[keyof Things];

interface Of<K, T> {
  readonly of: K;
  readonly before?: T | undefined;
  readonly after?: T | undefined;
}

export interface Database {
  outside(): Promise<Outside>;
  get(place: RowPlace): Promise<Row | undefined>;
  ofOwner(kind: string, tenant: string, owner: Buffer): Promise<Row[]>;
  ofTenant(kind: string, tenant: string): Promise<Row[]>;
  /** At most `limit` rows behind a place, by kind and id in the order of their bytes; from the start without one. */
  after(place: RowPlace | undefined, limit: number): Promise<Row[]>;
  /** All or nothing, in this order, durable when it resolves. Rejects with ChangeConflict when something is not as a change found it. */
  commit(changes: readonly Change[]): Promise<void>;
  /** What was removed or replaced is overwritten on disk too when it resolves. */
  scrub(): Promise<void>;
  close(): Promise<void>;
}

/** Somebody else was there first; nothing was written. */
export class ChangeConflict extends Error {
  override readonly name = 'ChangeConflict';

  constructor() {
    super('the store is not as the change found it');
  }
}
