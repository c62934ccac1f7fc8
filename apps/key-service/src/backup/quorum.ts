// The key that backups are sealed to: X25519, its private half split by Shamir's scheme among custodians, n of m. The service has the
// public half only. A share is checked against its commitment before it is used, and the result against the public key: the library
// gives wrong bytes for a wrong share and says nothing.

import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, timingSafeEqual } from 'node:crypto';
import { rawPublicKey, SetupError, x25519PrivateKey, x25519PublicKey } from '@sealpost/core';
import { combine, split } from 'shamir-secret-sharing';
import * as z from 'zod';

/** As Shamir's scheme over GF(256) allows, and as many people as a ceremony can bear. */
const maxShares = 16;

const recipientForm = z.strictObject({
  v: z.literal(1),
  kind: z.literal('sealpost backup recipient'),
  publicKey: z.base64().length(44),
  needed: z.int().min(1).max(maxShares),
  /** SHA-256 of each share, hex. */
  commitments: z
    .array(z.string().regex(/^[0-9a-f]{64}$/))
    .min(1)
    .max(maxShares),
});
const shareForm = z.strictObject({
  v: z.literal(1),
  kind: z.literal('sealpost backup share'),
  publicKey: z.base64().length(44),
  share: z.base64().max(128),
});

export type BackupRecipient = z.output<typeof recipientForm>;
export type BackupShare = z.output<typeof shareForm>;

/** A fresh key: what the service gets, and one share for each custodian. `needed` of `of` open. */
export async function makeQuorum(
  needed: number,
  of: number,
): Promise<{ recipient: BackupRecipient; shares: BackupShare[] }> {
  if (!(needed >= 1 && needed <= of && of <= maxShares) || (needed === 1 && of > 1))
    throw new SetupError(`a quorum is 2 of 3, 3 of 5 and the like, of ${maxShares} at most; 1 of 1 is one key`);
  const pair = generateKeyPairSync('x25519');
  const secret = pair.privateKey.export({ format: 'raw-private' });
  // The library splits between two people at least.
  const parts = of === 1 ? [Uint8Array.from(secret)] : await split(Uint8Array.from(secret), of, needed);
  secret.fill(0);
  const publicKey = rawPublicKey(pair.publicKey).toString('base64');
  return {
    recipient: { v: 1, kind: 'sealpost backup recipient', publicKey, needed, commitments: parts.map(commitment) },
    shares: parts.map((part) => ({
      v: 1,
      kind: 'sealpost backup share',
      publicKey,
      share: Buffer.from(part).toString('base64'),
    })),
  };
}

/** The public key of a recipient's file. Throws SetupError. */
export function recipientKey(text: string): KeyObject {
  return x25519PublicKey(Buffer.from(readRecipient(text).publicKey, 'base64'));
}

/** The private key from a recipient's file and enough of its shares. Throws SetupError that names no share's content. */
export async function joinShares(recipientText: string, shareTexts: readonly string[]): Promise<KeyObject> {
  const recipient = readRecipient(recipientText);
  const shares = new Map<string, Uint8Array>();
  for (const [at, text] of shareTexts.entries()) {
    const { publicKey, share } = parsed(shareForm, text, `share ${at + 1} is not a share of a backup key`);
    const bytes = Uint8Array.from(Buffer.from(share, 'base64'));
    const hash = commitment(bytes);
    if (publicKey !== recipient.publicKey || !recipient.commitments.includes(hash))
      throw new SetupError(`share ${at + 1} is damaged or of another backup key`);
    shares.set(hash, bytes);
  }
  if (shares.size < recipient.needed)
    throw new SetupError(`${recipient.needed} different shares open this backup; ${shares.size} were given`);
  const given = [...shares.values()];
  const secret = Buffer.from(recipient.needed === 1 && given[0] ? given[0] : await combine(given));
  const privateKey = x25519PrivateKey(secret);
  secret.fill(0);
  const own = rawPublicKey(createPublicKey(privateKey));
  if (!timingSafeEqual(own, Buffer.from(recipient.publicKey, 'base64')))
    throw new SetupError('the shares do not give the backup key');
  return privateKey;
}

function readRecipient(text: string): BackupRecipient {
  return parsed(recipientForm, text, 'the file is not the public key of a backup quorum');
}

function parsed<T>(form: z.ZodType<T>, text: string, complaint: string): T {
  try {
    return form.parse(JSON.parse(text));
  } catch {
    throw new SetupError(complaint);
  }
}

function commitment(share: Uint8Array): string {
  return createHash('sha256').update('sealpost backup share\0').update(share).digest('hex');
}
