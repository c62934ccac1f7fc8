// The slots of an open store: added, removed, replaced. Each change is one transaction, and never takes the last way in.

import type { DatabaseSync } from 'node:sqlite';
import { KeyFault, type NewSlot, type SlotFacts } from '@sealpost/service';
import type { Hsm } from '../hsm/hsm.ts';
import { addSlot, readSlots, removeSlot } from '../store/outer.ts';
import type { Keks } from './keks.ts';
import { type Slot, sealSlot } from './slots.ts';
import { makeTokenSlot } from './token-slot.ts';

/** Each passphrase slot makes a try dearer, and nobody keeps track of more. */
export const maxSlots = 8;

export interface SlotBook {
  list(): Slot[];
  /** Faults: `slot-exists`, `slots-full`, and the token's. */
  add(slot: NewSlot): Promise<void>;
  /** Faults: `not-found`, `slot-last`. */
  remove(label: string): void;
  /** Puts a slot in the place of the one with its label. Faults: `not-found`, and the token's. */
  replace(slot: NewSlot): Promise<void>;
}

export interface SlotBookParts {
  readonly database: DatabaseSync;
  readonly storeId: string;
  readonly keks: Pick<Keks, 'withRoot'>;
  readonly hsm: Hsm | undefined;
  now(): Date;
}

export function openSlotBook({ database, storeId, keks, hsm, now }: SlotBookParts): SlotBook {
  const list = (): Slot[] => readSlots(database);
  const has = (label: string): boolean => list().some((each) => each.label === label);

  async function sealed(slot: NewSlot): Promise<Slot> {
    const facts = await slotFacts(slot, hsm);
    return keks.withRoot((root) => sealSlot(facts, root, storeId, now()));
  }

  return {
    list,
    async add(slot) {
      const made = await sealed(slot);
      if (has(slot.label)) throw new KeyFault('slot-exists');
      if (list().length >= maxSlots) throw new KeyFault('slots-full');
      addSlot(database, made);
    },
    remove(label) {
      if (!has(label)) throw new KeyFault('not-found');
      if (list().length === 1) throw new KeyFault('slot-last');
      removeSlot(database, label);
    },
    async replace(slot) {
      const made = await sealed(slot);
      if (!has(slot.label)) throw new KeyFault('not-found');
      database.exec('BEGIN IMMEDIATE');
      try {
        removeSlot(database, slot.label);
        addSlot(database, made);
        database.exec('COMMIT');
      } catch (error) {
        database.exec('ROLLBACK');
        throw error;
      }
    },
  };
}

/** A slot as the store keeps it; one of a token gets its secret here. Fault: `hsm-unavailable` without a token. */
export async function slotFacts(slot: NewSlot, hsm: Hsm | undefined): Promise<SlotFacts> {
  if (slot.kind !== 'pkcs11') return slot;
  if (!hsm) throw new KeyFault('hsm-unavailable');
  return await makeTokenSlot(slot, hsm);
}
