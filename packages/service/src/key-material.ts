// Key objects from what the key service hands over. Plain bytes are overwritten as soon as the key object is made.

import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { KeyAnswer } from './key-protocol/operations.ts';
import { type KeyBinding, openKey } from './sealed-key.ts';

export function ed25519Pair(): { privateKey: KeyObject; spki: Buffer } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return { privateKey, spki: publicKey.export({ format: 'der', type: 'spki' }) };
}

export function publicKeyOf(spki: Buffer): KeyObject {
  return createPublicKey({ key: spki, format: 'der', type: 'spki' });
}

export function privateKeyOf(pkcs8: Buffer): KeyObject {
  return createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
}

/** Opens one answer and runs `use` on the secret. Error: `sealed-malformed` when it was sealed for something else. */
export function openSealed<T>(
  { leaseId, keyId, expiresAt, sealed }: KeyAnswer<'lease'>,
  bound: Pick<KeyBinding, 'instance' | 'purpose'>,
  ephemeral: KeyObject,
  use: (secret: Buffer) => T,
): T {
  const secret = openKey(sealed, { ...bound, leaseId, keyId, expiresAt }, ephemeral);
  try {
    return use(secret);
  } finally {
    secret.fill(0);
  }
}
