// The key that backups are sealed to: X25519, its private half split by Shamir's scheme among custodians, n of m. The service has the
// public half only. A share is checked against its commitment before it is used, and the result against the public key.

import { createPublicKey, generateKeyPairSync, type KeyObject, timingSafeEqual } from 'node:crypto';
import { rawPublicKey, SetupError, x25519PrivateKey, x25519PublicKey } from '@sealpost/core';
import { combineShares, maxShares, shareIndex, splitSecret } from '@sealpost/service';
import * as z from 'zod';

const recipientForm = z.strictObject({
  v: z.literal(1),
  kind: z.literal('sealpost backup recipient'),
  publicKey: z.base64().length(44),
  needed: z.int().min(2).max(maxShares),
  /** SHA-256, base64, in the order of the shares. */
  commitments: z.array(z.base64().length(44)).min(2).max(maxShares),
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
  if (!(Number.isInteger(needed) && Number.isInteger(of) && needed >= 2 && needed <= of && of <= maxShares))
    throw new SetupError(`a quorum is 2 of 3, 3 of 5 and the like, of ${maxShares} at most`);
  const pair = generateKeyPairSync('x25519');
  const secret = pair.privateKey.export({ format: 'raw-private' });
  const { shares, commitments } = await splitSecret(secret, needed, of);
  secret.fill(0);
  const publicKey = rawPublicKey(pair.publicKey).toString('base64');
  const texts = commitments.map((each) => each.toString('base64'));
  return {
    recipient: { v: 1, kind: 'sealpost backup recipient', publicKey, needed, commitments: texts },
    shares: shares.map((share) => ({
      v: 1,
      kind: 'sealpost backup share',
      publicKey,
      share: share.toString('base64'),
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
  const commitments = recipient.commitments.map((text) => Buffer.from(text, 'base64'));
  const shares = new Map<number, Buffer>();
  for (const [at, text] of shareTexts.entries()) {
    const { publicKey, share } = parsed(shareForm, text, `share ${at + 1} is not a share of a backup key`);
    const bytes = Buffer.from(share, 'base64');
    const index = publicKey === recipient.publicKey ? shareIndex(bytes, commitments) : undefined;
    if (index === undefined) throw new SetupError(`share ${at + 1} is damaged or of another backup key`);
    shares.set(index, bytes);
  }
  if (shares.size < recipient.needed)
    throw new SetupError(`${recipient.needed} different shares open this backup; ${shares.size} were given`);
  const secret = await combineShares([...shares.values()]);
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
