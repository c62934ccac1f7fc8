// The seam under the store: what a database must do for it. Rows come sealed and go sealed, so a database learns kinds, tenants and
// counts and nothing else. SQLite and a memory twin pass one contract suite (test/rows-contract.ts). Every call is one statement, and
// what belongs together stands in `transaction`; a change states what it found, so a database with several writers can follow.

import type { WrappedKek } from '../vault/keks.ts';

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

export interface Rows {
  /** Throws RowTaken when the kind has the id already. */
  insert(row: Row): void;
  replace(row: Row): void;
  /** Puts `row` in the place of one with the same kind and id if that still holds `before`; else false. */
  swap(row: Row, before: Buffer): boolean;
  /** False where there is none. */
  remove(place: RowPlace): boolean;
  get(place: RowPlace): Row | undefined;
  ofOwner(kind: string, tenant: string, owner: Buffer): Row[];
  ofTenant(kind: string, tenant: string): Row[];
  /** At most `limit` rows behind a place, by kind and id in the order of their bytes; from the start without one. */
  after(place: RowPlace | undefined, limit: number): Row[];
  keks(): WrappedKek[];
  /** Throws RowTaken when the use has the version already. */
  addKek(kek: WrappedKek): void;
  removeKek(kek: Pick<WrappedKek, 'use' | 'version'>): void;
  /** What was removed or replaced is overwritten on disk too when it returns. */
  scrub(): void;
  /** All or nothing, durable when it returns; one inside another is part of it. */
  transaction<T>(run: () => T): T;
}

/** Somebody else was there first. */
export class RowTaken extends Error {
  override readonly name = 'RowTaken';

  constructor() {
    super('the row is there already');
  }
}
