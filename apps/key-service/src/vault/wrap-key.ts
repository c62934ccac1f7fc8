// One private key as the store keeps it: its PKCS#8 (RFC 5958) sealed once by a data key of its own, the data key wrapped by the
// KEK of its use. Both are bound to the key id, its owner, the algorithm and the hash of the public key, so no row can stand in
// for another; rotating a KEK rewraps data keys only.

import { createHash, createPrivateKey, createPublicKey, type KeyObject, randomBytes } from 'node:crypto';
import { fail, type KeyId, type KeyUse, readFrame, writeFrame } from '@sealpost/core';
import { box, unbox, using } from './box.ts';
import type { Keks } from './keks.ts';

const wrapVersion = 1;
/** AES-256-GCM twice: KEK over data key, data key over PKCS#8 or secret. */
const wrapSuite = 1;

export interface KeyFacts {
  readonly keyId: KeyId;
  readonly use: KeyUse;
  /** `tenant/identity`. */
  readonly owner: string;
  /** `rsa-2048`, `p-256`, `x25519`, `ed25519`, `hmac-sha256`. */
  readonly algorithm: string;
  /** DER of the public key; empty for an HMAC key. */
  readonly spki: Buffer;
}

/** Wraps a private key's PKCS#8 DER, or the bytes of an HMAC key. */
export function wrapKey(secret: Buffer, facts: KeyFacts, keks: Keks): Buffer {
  const kek = keks.newest(facts.use);
  const bound = boundTo(facts);
  return using(randomBytes(32), (dataKey) =>
    writeFrame(wrapVersion, wrapSuite, [
      facts.keyId,
      String(kek.version),
      box(kek.key, dataKey, bound),
      box(dataKey, secret, bound),
    ]),
  );
}

/**
 * Runs `use` on the secret, which is checked against the public key first and overwritten afterwards.
 * Errors: `version-unsupported`, `sealed-malformed`.
 */
export function unwrapKey<T>(wrapped: Buffer, facts: KeyFacts, keks: Keks, use: (secret: Buffer) => T): T {
  const { version, boxedKey, boxed } = readWrapped(wrapped, facts);
  const bound = boundTo(facts);
  const dataKey = unbox(keks.at(facts.use, version), boxedKey, bound);
  const secret = using(dataKey, () => unbox(dataKey, boxed, bound));
  return using(secret, () => {
    if (facts.spki.length > 0) compare(wrapped, secret, facts.spki, keks);
    return use(secret);
  });
}

/** The same secret with its data key under the newest KEK; the same buffer when it is there already. */
export function rewrapKey(wrapped: Buffer, facts: KeyFacts, keks: Keks): Buffer {
  const kek = keks.newest(facts.use);
  const { version, boxedKey, boxed } = readWrapped(wrapped, facts);
  if (version === kek.version) return wrapped;
  const bound = boundTo(facts);
  return using(unbox(keks.at(facts.use, version), boxedKey, bound), (dataKey) =>
    writeFrame(wrapVersion, wrapSuite, [facts.keyId, String(kek.version), box(kek.key, dataKey, bound), boxed]),
  );
}

function readWrapped(wrapped: Buffer, { keyId: expected }: KeyFacts) {
  if (wrapped[0] !== wrapVersion || wrapped[1] !== wrapSuite) throw fail('version-unsupported');
  const [keyId, version, boxedKey, boxed] = readFrame(wrapped, 4).fields as [Buffer, Buffer, Buffer, Buffer];
  if (keyId.toString() !== expected) throw fail('sealed-malformed');
  return { version: Number(version.toString()), boxedKey, boxed };
}

/** What was compared while these KEKs are open: the same bytes under the same keys cannot hold another secret, and comparing costs
 * as much as unwrapping (measured). Hashes only. */
const compared = new WeakMap<Keks, Set<string>>();
const maxCompared = 65_536;

function compare(wrapped: Buffer, secret: Buffer, spki: Buffer, keks: Keks): void {
  const known = compared.get(keks) ?? new Set();
  const name = createHash('sha256').update(wrapped).update(spki).digest('base64');
  if (known.has(name)) return;
  if (!belongs(privateKeyOf(secret), spki)) throw fail('sealed-malformed');
  if (known.size >= maxCompared) known.clear();
  compared.set(keks, known.add(name));
}

export function privateKeyOf(pkcs8: Buffer): KeyObject {
  return createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
}

/** DER of the public key that belongs to a private one. */
export function publicHalf(privateKey: KeyObject): Buffer {
  return createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
}

/** Compares keys and not their encodings: four times faster for RSA (measured). */
function belongs(privateKey: KeyObject, spki: Buffer): boolean {
  return createPublicKey(privateKey).equals(createPublicKey({ key: spki, format: 'der', type: 'spki' }));
}

function boundTo({ keyId, owner, algorithm, spki }: KeyFacts): Buffer {
  const hash = createHash('sha256').update(spki).digest();
  return writeFrame(wrapVersion, wrapSuite, ['sealpost private key', keyId, owner, algorithm, hash]);
}
