// Recipients who share a secret instead of holding a certificate: key encryption keys (RFC 5652 §6.2.3) and passwords
// (RFC 3211). Read only.
import { createDecipheriv, type KeyObject, pbkdf2Sync, timingSafeEqual } from 'node:crypto';
import { readOid, readSmallInteger, TAG } from '../pki/der.ts';
import { cipherOf, HMACS, PASSWORD, wrapOf } from './algorithms.ts';
import { enterBer, stringOctets } from './ber.ts';
import { unwrapKey } from './key-wrap.ts';
import { MAX_ITERATIONS } from './limits.ts';
import type { KeyEncryptionKey, Password } from './recipient-info.ts';
import { type AlgorithmId, readAlgorithm } from './signed-data.ts';

export interface SharedSecrets {
  /** Key encryption keys; one without an id is tried for any. */
  readonly keys?: readonly { readonly id?: Buffer; readonly key: Buffer }[];
  readonly passwords?: readonly Buffer[];
  /** Private keys without their certificate, tried for every recipient: for files on a desk, never in a gateway. */
  readonly privateKeys?: readonly KeyObject[];
}

export function openKek(info: KeyEncryptionKey, secrets: SharedSecrets): Buffer | undefined {
  const wrap = wrapOf(info.algorithm.oid);
  if (wrap === undefined) return undefined;
  for (const { id, key } of secrets.keys ?? []) {
    if ((id !== undefined && !id.equals(info.keyId)) || key.length !== wrap.keyLength) continue;
    const opened = unwrapKey(wrap, key, info.encryptedKey);
    if (opened !== undefined) return opened;
  }
  return undefined;
}

export function openPassword(info: Password, secrets: SharedSecrets): Buffer | undefined {
  if (info.algorithm.oid !== PASSWORD.pwriKek || info.algorithm.parameters === undefined) return undefined;
  const inner = readAlgorithm(info.algorithm.parameters);
  const cipher = cipherOf(inner.oid);
  if (cipher?.mode !== 'cbc' || inner.parameters === undefined) return undefined;
  const iv = stringOctets(inner.parameters);
  if (iv.length !== cipher.ivLength) return undefined;
  for (const password of secrets.passwords ?? []) {
    const kek = deriveKek(info.derivation, password, cipher.keyLength);
    const opened = kek === undefined ? undefined : unwrapPassword(cipher.name, kek, iv, info.encryptedKey);
    if (opened !== undefined) return opened;
  }
  return undefined;
}

/** PBKDF2 (RFC 8018 §A.2). */
function deriveKek(derivation: AlgorithmId | undefined, password: Buffer, length: number): Buffer | undefined {
  if (derivation?.oid !== PASSWORD.pbkdf2 || derivation.parameters === undefined) return undefined;
  const cursor = enterBer(derivation.parameters);
  const salt = stringOctets(cursor.octetString());
  const iterations = readSmallInteger(cursor.next(TAG.integer));
  const keyLength = cursor.optional(TAG.integer);
  const prf = cursor.optional(TAG.sequence);
  const digest = prf === undefined ? 'sha1' : HMACS.get(readOid(enterBer(prf).next(TAG.oid)));
  if (digest === undefined || iterations < 1 || iterations > MAX_ITERATIONS) return undefined;
  if (keyLength !== undefined && readSmallInteger(keyLength) !== length) return undefined;
  return pbkdf2Sync(password, salt, iterations, length, digest);
}

/** The double CBC of RFC 3211 §2.3.2: last block first, with the block before it as IV. */
function unwrapPassword(cipher: string, kek: Buffer, iv: Buffer, wrapped: Buffer): Buffer | undefined {
  const block = iv.length;
  const size = wrapped.length;
  if (size < 2 * block || size % block !== 0 || size > 1024) return undefined;
  const last = decryptBlocks(
    cipher,
    kek,
    wrapped.subarray(size - 2 * block, size - block),
    wrapped.subarray(size - block),
  );
  const first = decryptBlocks(cipher, kek, last, wrapped.subarray(0, size - block));
  const plain = decryptBlocks(cipher, kek, iv, Buffer.concat([first, last]));
  const length = plain[0] ?? 0;
  if (length < 3 || length > plain.length - 4) return undefined;
  const check = plain.subarray(1, 4).map((octet) => octet ^ 0xff);
  return timingSafeEqual(check, plain.subarray(4, 7)) ? Buffer.from(plain.subarray(4, 4 + length)) : undefined;
}

function decryptBlocks(cipher: string, key: Buffer, iv: Buffer, octets: Buffer): Buffer {
  const decipher = createDecipheriv(cipher, key, iv).setAutoPadding(false);
  return Buffer.concat([decipher.update(octets), decipher.final()]);
}
