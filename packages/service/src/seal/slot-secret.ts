// From a slot's secret to its X25519 key pair. A passphrase is stretched with Argon2id (RFC 9106); what is 256 random bits
// already goes through HKDF (RFC 5869).

import { createPublicKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto';
import { rawPublicKey, SetupError, x25519PrivateKey } from '@sealpost/core';
import { type SplitSecret, splitSecret } from './shamir.ts';
import { type NewSlot, type PassphraseCost, passphraseCost } from './slot-forms.ts';
import { stretchPassphrase } from './stretch-passphrase.ts';

/** Argon2id makes guessing dear, not a short passphrase good. */
const leastPassphrase = 12;
const seedLength = 32;

/** What of a slot its key depends on. */
type Derivation =
  | ({ readonly kind: 'passphrase'; readonly salt: Buffer } & PassphraseCost)
  | { readonly kind: 'file'; readonly salt: Buffer }
  | { readonly kind: 'shamir' | 'pkcs11' };

/** The private key of a slot, from its secret: passphrase or file as bytes, the combined shares, or what the token gave back. */
export async function slotKey(slot: Derivation, secret: Buffer): Promise<KeyObject> {
  const seed = await slotSeed(slot, secret);
  try {
    return x25519PrivateKey(seed);
  } finally {
    seed.fill(0);
  }
}

/** The public half as slots carry it. */
export async function slotPublicKey(slot: Derivation, secret: Buffer): Promise<Buffer> {
  return Buffer.from(rawPublicKey(createPublicKey(await slotKey(slot, secret))));
}

async function slotSeed(slot: Derivation, secret: Buffer): Promise<Buffer> {
  if (slot.kind === 'passphrase') return await stretchPassphrase(secret, slot.salt, slot);
  const salt = slot.kind === 'file' ? slot.salt : Buffer.alloc(0);
  return Buffer.from(hkdfSync('sha256', secret, salt, `sealpost slot ${slot.kind}`, seedLength));
}

/** The same passphrase typed on two keyboards is the same bytes (Unicode NFC). */
export function passphraseBytes(text: string): Buffer {
  return Buffer.from(text.normalize('NFC'), 'utf8');
}

/** A slot for a passphrase. Throws SetupError for a short one. */
export async function passphraseSlot(label: string, passphrase: Buffer): Promise<NewSlot> {
  if (passphrase.length < leastPassphrase) {
    throw new SetupError(`the passphrase must have at least ${leastPassphrase} characters`);
  }
  const facts = { kind: 'passphrase', label, salt: randomBytes(16), ...passphraseCost } as const;
  return { ...facts, publicKey: await slotPublicKey(facts, passphrase) };
}

/** A slot for what a file holds. */
export async function fileSlot(label: string, secret: Buffer): Promise<NewSlot> {
  const facts = { kind: 'file', label, salt: randomBytes(16) } as const;
  return { ...facts, publicKey: await slotPublicKey(facts, secret) };
}

/** A slot for custodians, and their shares, which exist nowhere else. `secret` opens the slot; the caller overwrites it. */
export async function shamirSlot(
  label: string,
  threshold: number,
  count: number,
  secret = randomBytes(seedLength),
): Promise<{ slot: NewSlot; shares: SplitSecret['shares'] }> {
  const { shares, commitments } = await splitSecret(secret, threshold, count);
  const facts = { kind: 'shamir' as const, label, threshold, commitments: [...commitments] };
  return { slot: { ...facts, publicKey: await slotPublicKey(facts, secret) }, shares };
}
