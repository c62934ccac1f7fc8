// The slots of an open store: added, removed, replaced. Each change is one transaction, and never takes the last way in. Where a secret
// goes, the root goes with it: what remains is sealed to another one, so a slot that was copied before opens nothing of the store.

import { KeyFault, type NewSlot, type SlotFacts } from '@sealpost/service';
import type { Hsm } from '../hsm/hsm.ts';
import type { Transactions } from '../store/transactions.ts';
import type { Keks } from './keks.ts';
import { factsOf, newRoot, type Slot, sealSlot } from './slots.ts';
import { makeTokenSlot } from './token-slot.ts';

/** Each passphrase slot makes a try dearer, and nobody keeps track of more. */
export const maxSlots = 8;

export interface SlotBook {
  list(): Promise<readonly Slot[]>;
  /** Faults: `slot-exists`, `slots-full`, and the token's. */
  add(slot: NewSlot): Promise<void>;
  /** Faults: `not-found`, `slot-last`. */
  remove(label: string): Promise<RootChange>;
  /** Puts a slot in the place of the one with its label. Faults: `not-found`, and the token's. */
  replace(slot: NewSlot): Promise<RootChange>;
}

/** `kept`: while a slot of the first stores stays, which only its secret could seal anew. Replace that one too. */
type RootChange = 'renewed' | 'kept';

export interface SlotBookParts {
  readonly store: Transactions;
  readonly storeId: string;
  readonly keks: Pick<Keks, 'withRoot' | 'wrapAllBy' | 'adopt'>;
  readonly hsm: Hsm | undefined;
  now(): Date;
}

export function openSlotBook({ store, storeId, keks, hsm, now }: SlotBookParts): SlotBook {
  const list = async () => (await store.outside()).slots;
  const find = async (label: string) => (await list()).find((each) => each.label === label);

  /** In a transaction: the root may be another one before it and after. */
  function sealed(facts: SlotFacts): Slot {
    return keks.withRoot((root) => sealSlot(facts, root, storeId, now()));
  }

  return {
    list,
    async add(slot) {
      const facts = await slotFacts(slot, hsm);
      await store.transaction(async () => {
        if (await find(slot.label)) throw new KeyFault('slot-exists');
        if ((await list()).length >= maxSlots) throw new KeyFault('slots-full');
        await store.put({ of: 'slot', after: sealed(facts) });
      });
    },
    remove: (label) =>
      store.transaction(async () => {
        const before = await find(label);
        if (!before) throw new KeyFault('not-found');
        if ((await list()).length === 1) throw new KeyFault('slot-last');
        return await giveUp(before, undefined);
      }),
    async replace(slot) {
      const facts = await slotFacts(slot, hsm);
      return await store.transaction(async () => {
        const before = await find(slot.label);
        if (!before) throw new KeyFault('not-found');
        return await giveUp(before, facts);
      });
    },
  };

  /** In a transaction: takes a slot away, or puts another in its place, under a new root. */
  async function giveUp(before: Slot, next: SlotFacts | undefined): Promise<RootChange> {
    const others = (await list()).filter(({ label }) => label !== before.label);
    const known = others.flatMap((slot) => {
      const facts = factsOf(slot);
      return facts ? [{ slot, facts }] : [];
    });
    if (known.length < others.length) {
      const after = next && sealed(next);
      await store.put({ of: 'slot', before, after });
      return 'kept';
    }
    const root = newRoot();
    const after = next && sealSlot(next, root, storeId, now());
    await store.put({ of: 'slot', before, after });
    for (const { slot, facts } of known) {
      const anew = sealSlot(facts, root, storeId, slot.createdAt ?? now());
      await store.put({ of: 'slot', before: slot, after: anew });
    }
    const { keks: wrapped } = await store.outside();
    for (const kek of keks.wrapAllBy(root)) {
      const same = wrapped.find(({ use, version }) => use === kek.use && version === kek.version);
      await store.put({ of: 'kek', before: same, after: kek });
    }
    store.whenCommitted(() => keks.adopt(root));
    return 'renewed';
  }
}

/** A slot as the store keeps it; one of a token gets its secret here. Fault: `hsm-unavailable` without a token. */
export async function slotFacts(slot: NewSlot, hsm: Hsm | undefined): Promise<SlotFacts> {
  if (slot.kind !== 'pkcs11') return slot;
  if (!hsm) throw new KeyFault('hsm-unavailable');
  return await makeTokenSlot(slot, hsm);
}
