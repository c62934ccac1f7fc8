// The slots of an open store: added, removed, replaced. Each change is one transaction, and never takes the last way in.

import { KeyFault, type NewSlot, type SlotFacts } from '@sealpost/service';
import type { Hsm } from '../hsm/hsm.ts';
import type { Transactions } from '../store/transactions.ts';
import type { Keks } from './keks.ts';
import { type Slot, sealSlot } from './slots.ts';
import { makeTokenSlot } from './token-slot.ts';

/** Each passphrase slot makes a try dearer, and nobody keeps track of more. */
export const maxSlots = 8;

export interface SlotBook {
  list(): Promise<readonly Slot[]>;
  /** Faults: `slot-exists`, `slots-full`, and the token's. */
  add(slot: NewSlot): Promise<void>;
  /** Faults: `not-found`, `slot-last`. */
  remove(label: string): Promise<void>;
  /** Puts a slot in the place of the one with its label. Faults: `not-found`, and the token's. */
  replace(slot: NewSlot): Promise<void>;
}

export interface SlotBookParts {
  readonly store: Transactions;
  readonly storeId: string;
  readonly keks: Pick<Keks, 'withRoot'>;
  readonly hsm: Hsm | undefined;
  now(): Date;
}

export function openSlotBook({ store, storeId, keks, hsm, now }: SlotBookParts): SlotBook {
  const list = async () => (await store.outside()).slots;
  const find = async (label: string) => (await list()).find((each) => each.label === label);

  async function sealed(slot: NewSlot): Promise<Slot> {
    const facts = await slotFacts(slot, hsm);
    return keks.withRoot((root) => sealSlot(facts, root, storeId, now()));
  }

  return {
    list,
    async add(slot) {
      const after = await sealed(slot);
      await store.transaction(async () => {
        if (await find(slot.label)) throw new KeyFault('slot-exists');
        if ((await list()).length >= maxSlots) throw new KeyFault('slots-full');
        await store.put({ of: 'slot', after });
      });
    },
    remove: (label) =>
      store.transaction(async () => {
        const before = await find(label);
        if (!before) throw new KeyFault('not-found');
        if ((await list()).length === 1) throw new KeyFault('slot-last');
        await store.put({ of: 'slot', before });
      }),
    async replace(slot) {
      const after = await sealed(slot);
      await store.transaction(async () => {
        const before = await find(slot.label);
        if (!before) throw new KeyFault('not-found');
        await store.put({ of: 'slot', before, after });
      });
    },
  };
}

/** A slot as the store keeps it; one of a token gets its secret here. Fault: `hsm-unavailable` without a token. */
export async function slotFacts(slot: NewSlot, hsm: Hsm | undefined): Promise<SlotFacts> {
  if (slot.kind !== 'pkcs11') return slot;
  if (!hsm) throw new KeyFault('hsm-unavailable');
  return await makeTokenSlot(slot, hsm);
}
