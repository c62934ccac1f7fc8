// Ways into the store: another one, one less, another secret for one. What is requested shows the public half of a slot and no
// secret, so approvers see all of it; the root is sealed to it when the act is executed.

import { createHash } from 'node:crypto';
import { KeyFault, type NewSlot, newSlotForm, slotLabel } from '@sealpost/service';
import { z } from 'zod';
import type { OpenStore } from '../open-store.ts';
import type { Act } from './act.ts';

/** As it travels: bytes in base64. */
const slotText = z.record(z.string(), z.json()).refine((value) => newSlotForm.safeParse(value).success);
const withSlot = z.strictObject({ slot: slotText });
const removal = z.strictObject({
  label: slotLabel,
  /** It is meant that one slot stays. */
  leavesOne: z.boolean(),
});

export const slotAdd: Act<z.output<typeof withSlot>> = {
  form: withSlot,
  requestedBy: ['key-admin'],
  describe: ({ slot }) => `add the slot ${described(newSlotForm.parse(slot))}`,
  subject: ({ slot }) => ({ slot: newSlotForm.parse(slot).label }),
  async check({ slot }, { store }) {
    const { label } = newSlotForm.parse(slot);
    if ((await labelsOf(store)).includes(label)) throw new KeyFault('slot-exists');
  },
  async run({ slot }, { store }) {
    await store.slots.add(newSlotForm.parse(slot));
    return { slots: await labelsOf(store) };
  },
};

export const slotRotate: Act<z.output<typeof withSlot>> = {
  form: withSlot,
  requestedBy: ['key-admin'],
  describe: ({ slot }) => `replace the slot of this label by ${described(newSlotForm.parse(slot))}`,
  subject: ({ slot }) => ({ slot: newSlotForm.parse(slot).label }),
  async check({ slot }, { store }) {
    const { label } = newSlotForm.parse(slot);
    if (!(await labelsOf(store)).includes(label)) throw new KeyFault('not-found');
  },
  async run({ slot }, { store }) {
    const root = await store.slots.replace(newSlotForm.parse(slot));
    await store.records.scrub();
    return { slots: await labelsOf(store), root };
  },
};

export const slotRemove: Act<z.output<typeof removal>> = {
  form: removal,
  requestedBy: ['key-admin'],
  describe: ({ label, leavesOne }) =>
    `remove the slot ${label}${leavesOne ? ', which may leave one slot: losing its secret loses every key' : ''}`,
  subject: ({ label }) => ({ slot: label }),
  check: (params, { store }) => assertRemovable(params, store),
  async run(params, { store }) {
    const root = await store.records.transaction(async () => {
      // Another one may have gone since it was checked.
      await assertRemovable(params, store);
      return await store.slots.remove(params.label);
    });
    await store.records.scrub();
    return { slots: await labelsOf(store), root };
  },
};

/** Faults: `not-found`, `slot-last`, `slot-leaves-one`. */
async function assertRemovable({ label, leavesOne }: z.output<typeof removal>, store: OpenStore): Promise<void> {
  const labels = await labelsOf(store);
  if (!labels.includes(label)) throw new KeyFault('not-found');
  if (labels.length === 1) throw new KeyFault('slot-last');
  if (labels.length === 2 && !leavesOne && !store.development) throw new KeyFault('slot-leaves-one');
}

async function labelsOf({ slots }: OpenStore): Promise<string[]> {
  return (await slots.list()).map(({ label }) => label);
}

function described(slot: NewSlot): string {
  const kind = {
    passphrase: () => 'a passphrase',
    file: () => 'a file',
    pkcs11: () => `the key ${slot.kind === 'pkcs11' ? slot.key : ''} in the token`,
    shamir: () => (slot.kind === 'shamir' ? `${slot.threshold} of ${slot.commitments.length} custodians' shares` : ''),
  }[slot.kind]();
  // Who requests reads the same from his screen.
  const print = slot.kind === 'pkcs11' ? '' : ` (key ${fingerprint(slot.publicKey)})`;
  return `${slot.label}: ${kind}${print}`;
}

function fingerprint(publicKey: Buffer): string {
  return createHash('sha256').update(publicKey).digest('hex').slice(0, 16);
}
