// Seal slots: the same 32-byte root key sealed to the key pair of each, so that any one of them opens the store. A slot's private key
// is made from its secret when it is opened; sealing to it needs the public half only.

import { createPublicKey, randomBytes } from 'node:crypto';
import { fail, readFrame, writeFrame, x25519PublicKey } from '@sealpost/core';
import { openBox, type SlotFacts, type SlotKind, sealBox, slotForm, slotKey } from '@sealpost/service';
import { firstVersion, openFirstSlot } from './first-slots.ts';

/** A slot as the store keeps it. */
export interface Slot {
  /** Its name among the slots. */
  readonly label: string;
  readonly kind: SlotKind;
  /** Unknown for those of the first stores. */
  readonly createdAt?: Date;
  /** Version, suite, then what it is as JSON, and the sealed root. */
  readonly bytes: Buffer;
}

const slotVersion = 2;
/** Key pair by kind (slot-secret.ts), then HPKE. */
const slotSuite = 1;
const rootLength = 32;

export function newRoot(): Buffer {
  return randomBytes(rootLength);
}

/** Seals the root of the store with this id to a slot. */
export function sealSlot(facts: SlotFacts, root: Buffer, storeId: string, createdAt: Date): Slot {
  const text = Buffer.from(JSON.stringify(slotForm.encode(facts)), 'utf8');
  const sealed = sealBox(root, x25519PublicKey(facts.publicKey), placeOf(storeId, text));
  const { label, kind } = facts;
  return { label, kind, createdAt, bytes: writeFrame(slotVersion, slotSuite, [text, sealed]) };
}

/** The root key, or undefined when the secret is not this slot's. The caller overwrites it after use. */
export async function openSlot(slot: Slot, secret: Buffer, storeId: string): Promise<Buffer | undefined> {
  if (slot.bytes[0] === firstVersion) {
    if (slot.kind !== 'passphrase' && slot.kind !== 'file') throw fail('sealed-malformed');
    return await openFirstSlot(slot.kind, slot.bytes, secret, storeId);
  }
  const { facts, text, sealed } = readSlot(slot);
  const key = await slotKey(facts, secret);
  // Another secret; no need to open anything to know it.
  if (!createPublicKey(key).equals(x25519PublicKey(facts.publicKey))) return undefined;
  try {
    return openBox(sealed, key, placeOf(storeId, text));
  } catch {
    return undefined;
  }
}

/** The root by any slot of a kind that the secret opens, and that slot's label. A slot that is damaged is not in the way of the others. */
export async function findRoot(slots: readonly Slot[], kind: SlotKind, secret: Buffer, storeId: string) {
  for (const slot of slots.filter((each) => each.kind === kind)) {
    const root = await openSlot(slot, secret, storeId).catch(() => undefined);
    if (root) return { root, slot: slot.label };
  }
  return undefined;
}

/** What a slot says of itself; undefined for those of the first stores. Errors: `version-unsupported`, `sealed-malformed`. */
export function factsOf(slot: Slot): SlotFacts | undefined {
  return slot.bytes[0] === firstVersion ? undefined : readSlot(slot).facts;
}

function readSlot({ bytes, label, kind }: Slot): { facts: SlotFacts; text: Buffer; sealed: Buffer } {
  if (bytes[0] !== slotVersion || bytes[1] !== slotSuite) throw fail('version-unsupported');
  const [text, sealed] = readFrame(bytes, 2).fields as [Buffer, Buffer];
  const facts = parse(text);
  // The columns are for people; a row that says something else than what is bound into the box was tampered with.
  if (facts.label !== label || facts.kind !== kind) throw fail('sealed-malformed');
  return { facts, text, sealed };
}

function parse(text: Buffer): SlotFacts {
  try {
    return slotForm.parse(JSON.parse(text.toString('utf8')));
  } catch {
    throw fail('sealed-malformed');
  }
}

function placeOf(storeId: string, text: Buffer) {
  return ['sealpost slot', storeId, text] as const;
}
