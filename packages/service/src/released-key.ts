// A content key that was given out under dual control (break-glass), on its way to the person who asked: HPKE (RFC 9180) to a key
// made for this request, bound by `info` to the person whose mail it is and to the RecipientInfo that it came from.

import { createHash, type KeyObject } from 'node:crypto';
import { fail, setupReceiver, setupSender, writeFrame, x25519PublicKey } from '@sealpost/core';

const releasedKeyVersion = 1;
/** X25519, HKDF-SHA256, AES-256-GCM. */
const releasedKeySuite = 1;
const encapsulatedLength = 32;
const nothing = Buffer.alloc(0);

export interface ReleaseBinding {
  readonly tenant: string;
  readonly address: string;
  readonly recipientInfo: Buffer;
}

/** Version, suite, encapsulated key, ciphertext. `to`: raw X25519 key. Error: `sealed-malformed` for a key of low order. */
export function sealReleasedKey(contentKey: Buffer, binding: ReleaseBinding, to: Buffer): Buffer {
  const sender = setupSender(x25519PublicKey(to), infoOf(binding));
  const head = Buffer.from([releasedKeyVersion, releasedKeySuite]);
  return Buffer.concat([head, sender.encapsulated, sender.seal(nothing, contentKey)]);
}

/** Errors: `version-unsupported`, `sealed-malformed`. */
export function openReleasedKey(sealed: Buffer, binding: ReleaseBinding, privateKey: KeyObject): Buffer {
  if (sealed[0] !== releasedKeyVersion || sealed[1] !== releasedKeySuite) throw fail('version-unsupported');
  const start = 2 + encapsulatedLength;
  if (sealed.length < start) throw fail('sealed-malformed');
  return setupReceiver(sealed.subarray(2, start), privateKey, infoOf(binding)).open(nothing, sealed.subarray(start));
}

function infoOf({ tenant, address, recipientInfo }: ReleaseBinding): Buffer {
  const hash = createHash('sha256').update(recipientInfo).digest();
  return writeFrame(releasedKeyVersion, releasedKeySuite, ['sealpost released key', tenant, address, hash]);
}
