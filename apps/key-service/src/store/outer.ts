// What the store shows without being open: its id, its slots and wrapped KEKs, and the mark of the development slot.

import { randomBytes } from 'node:crypto';
import type { WrappedKek } from '../vault/keks.ts';
import type { Slot } from '../vault/slots.ts';
import type { Change, Database } from './database.ts';
import type { Transactions } from './transactions.ts';

export interface OuterStore {
  /** Made once, bound into everything that the store seals. */
  readonly id: string;
  /** Once opened by the development slot, marked for ever. */
  readonly development: boolean;
  /** In the order in which they were made. */
  readonly slots: readonly Slot[];
  readonly keks: readonly WrappedKek[];
}

const developmentMark = { name: 'development', value: 'once' } as const;

/** What is in the store so far; undefined before it was initialised. */
export async function readOuter(database: Pick<Database, 'outside'>): Promise<OuterStore | undefined> {
  const { meta, slots, keks } = await database.outside();
  const id = meta.find(({ name }) => name === 'store-id')?.value;
  if (id === undefined) return undefined;
  return { id, development: meta.some(({ name }) => name === developmentMark.name), slots, keks };
}

/** The store was opened by a file that was made for development: it stays marked. */
export async function markDevelopment(transactions: Transactions): Promise<void> {
  await transactions.transaction(async () => {
    const { meta } = await transactions.outside();
    if (meta.some(({ name }) => name === developmentMark.name)) return;
    await transactions.put({ of: 'meta', after: developmentMark });
  });
}

/** A fresh id for a store about to be made. */
export function newStoreId(): string {
  return randomBytes(16).toString('hex');
}

/** Writes a new store's outside. */
export async function writeOuter(database: Database, { id, development, slots, keks }: OuterStore): Promise<void> {
  const changes: Change[] = [
    { of: 'meta', after: { name: 'store-id', value: id } },
    ...slots.map((after): Change => ({ of: 'slot', after })),
    ...keks.map((after): Change => ({ of: 'kek', after })),
  ];
  if (development) changes.push({ of: 'meta', after: developmentMark });
  await database.commit(changes);
}
