// A private key on its way from the key service to the one process that asked for it: HPKE (RFC 9180) to an ephemeral key made
// for this answer, bound by `info` to the process, the lease, the key, its purpose and its end.

import type { KeyObject } from 'node:crypto';
import { fail, rawPublicKey, setupReceiver, setupSender, timeField, writeFrame, x25519PublicKey } from '@sealpost/core';

const sealedKeyVersion = 1;
/** X25519, HKDF-SHA256, AES-256-GCM. */
const sealedKeySuite = 1;
const encapsulatedLength = 32;
const nothing = Buffer.alloc(0);

/** What the secret is for: a user's key, a stage's spool key, an HMAC key. */
export type KeyPurpose = 'lease' | 'spool' | 'marker';

export interface KeyBinding {
  readonly instance: string;
  readonly leaseId: string;
  readonly keyId: string;
  readonly purpose: KeyPurpose;
  readonly expiresAt: Date;
}

/** Version, suite, encapsulated key, ciphertext. `ephemeral`: the caller's raw X25519 key. Error: `sealed-malformed`. */
export function sealKey(secret: Buffer, binding: KeyBinding, ephemeral: Buffer): Buffer {
  const sender = setupSender(x25519PublicKey(ephemeral), infoOf(binding));
  return Buffer.concat([
    Buffer.from([sealedKeyVersion, sealedKeySuite]),
    sender.encapsulated,
    sender.seal(nothing, secret),
  ]);
}

/** The secret, for exactly this binding. Errors: `version-unsupported`, `sealed-malformed`. */
export function openKey(sealed: Buffer, binding: KeyBinding, ephemeral: KeyObject): Buffer {
  if (sealed[0] !== sealedKeyVersion || sealed[1] !== sealedKeySuite) throw fail('version-unsupported');
  const start = 2 + encapsulatedLength;
  if (sealed.length < start) throw fail('sealed-malformed');
  const receiver = setupReceiver(sealed.subarray(2, start), ephemeral, infoOf(binding));
  return receiver.open(nothing, sealed.subarray(start));
}

/** The public half of an ephemeral key as requests carry it. */
export function ephemeralBytes(publicKey: KeyObject): Buffer {
  return Buffer.from(rawPublicKey(publicKey));
}

function infoOf({ instance, leaseId, keyId, purpose, expiresAt }: KeyBinding): Buffer {
  return writeFrame(sealedKeyVersion, sealedKeySuite, [
    'sealpost key',
    instance,
    leaseId,
    keyId,
    purpose,
    timeField(expiresAt),
  ]);
}
