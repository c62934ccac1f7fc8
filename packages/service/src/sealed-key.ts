// A private key on its way from the key service to the one process that asked for it: HPKE (RFC 9180) to an ephemeral key made
// for this answer, bound to the process, the lease, the key, its purpose and its end. Keys of one answer share one encapsulation
// and are its pieces, by number: most of what sealing costs is the encapsulation (measured).

import type { KeyObject } from 'node:crypto';
import {
  fail,
  type HpkeSender,
  rawPublicKey,
  setupReceiver,
  setupSender,
  timeField,
  writeFrame,
  x25519PublicKey,
} from '@sealpost/core';

const sealedKeyVersion = 2;
/** One encapsulation a key, bound by `info`: what a key service that is not updated yet answers. */
const previousVersion = 1;
/** X25519, HKDF-SHA256, AES-256-GCM. */
const sealedKeySuite = 1;
const encapsulatedLength = 32;
/** The piece's number, 16 bits. */
const ciphertextStart = 2 + encapsulatedLength + 2;
const maxPieces = 0xff_ff;
const info = writeFrame(sealedKeyVersion, sealedKeySuite, ['sealpost keys']);

/** What the secret is for: a user's key, a stage's spool key, an HMAC key. */
export type KeyPurpose = 'lease' | 'spool' | 'marker';

export interface KeyBinding {
  readonly instance: string;
  readonly leaseId: string;
  readonly keyId: string;
  readonly purpose: KeyPurpose;
  readonly expiresAt: Date;
}

interface Answer {
  readonly sender: HpkeSender;
  pieces: number;
}

/** The encapsulation for each request's ephemeral key, as long as the request lives. */
const answers = new WeakMap<Buffer, Answer>();

/** Version, suite, encapsulated key, number of the piece, ciphertext. `ephemeral`: the caller's raw X25519 key. Error: `sealed-malformed`. */
export function sealKey(secret: Buffer, binding: KeyBinding, ephemeral: Buffer): Buffer {
  const answer = answers.get(ephemeral) ?? { sender: setupSender(x25519PublicKey(ephemeral), info), pieces: 0 };
  if (answer.pieces > maxPieces) throw fail('sealed-malformed');
  answers.set(ephemeral, answer);
  const start = Buffer.alloc(ciphertextStart);
  start[0] = sealedKeyVersion;
  start[1] = sealedKeySuite;
  answer.sender.encapsulated.copy(start, 2);
  start.writeUInt16BE(answer.pieces++, 2 + encapsulatedLength);
  return Buffer.concat([start, answer.sender.seal(boundTo(binding), secret)]);
}

/** The secret, for exactly this binding. Errors: `version-unsupported`, `sealed-malformed`. */
export function openKey(sealed: Buffer, binding: KeyBinding, ephemeral: KeyObject): Buffer {
  if (sealed[1] !== sealedKeySuite) throw fail('version-unsupported');
  if (sealed[0] === previousVersion) return openPrevious(sealed, binding, ephemeral);
  if (sealed[0] !== sealedKeyVersion) throw fail('version-unsupported');
  if (sealed.length < ciphertextStart) throw fail('sealed-malformed');
  const encapsulated = sealed.subarray(2, 2 + encapsulatedLength);
  const piece = sealed.readUInt16BE(2 + encapsulatedLength);
  return setupReceiver(encapsulated, ephemeral, info, piece).open(boundTo(binding), sealed.subarray(ciphertextStart));
}

function openPrevious(sealed: Buffer, { expiresAt, ...bound }: KeyBinding, ephemeral: KeyObject): Buffer {
  const start = 2 + encapsulatedLength;
  if (sealed.length < start) throw fail('sealed-malformed');
  const { instance, leaseId, keyId, purpose } = bound;
  const fields = ['sealpost key', instance, leaseId, keyId, purpose, timeField(expiresAt)];
  const previousInfo = writeFrame(previousVersion, sealedKeySuite, fields);
  return setupReceiver(sealed.subarray(2, start), ephemeral, previousInfo).open(
    Buffer.alloc(0),
    sealed.subarray(start),
  );
}

/** The public half of an ephemeral key as requests carry it. */
export function ephemeralBytes(publicKey: KeyObject): Buffer {
  return Buffer.from(rawPublicKey(publicKey));
}

function boundTo({ instance, leaseId, keyId, purpose, expiresAt }: KeyBinding): Buffer {
  return writeFrame(sealedKeyVersion, sealedKeySuite, [instance, leaseId, keyId, purpose, timeField(expiresAt)]);
}
