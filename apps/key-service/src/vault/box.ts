// AES-256-GCM (NIST SP 800-38D) around one secret: nonce, ciphertext, tag. Random 96-bit nonces; no key here seals anywhere near
// the 2^32 pieces at which they would wear out. What comes out of `unbox` is one buffer that the caller overwrites.

import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { fail } from '@sealpost/core';

const nonceLength = 12;
const tagLength = 16;

/** Seals `plain` under a 32-byte key, bound to `bound`. */
export function box(key: Buffer, plain: Buffer, bound: Buffer): Buffer {
  const nonce = randomBytes(nonceLength);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(bound);
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** Opens what `box` made; throws `sealed-malformed` on any difference. */
export function unbox(key: Buffer, boxed: Buffer, bound: Buffer): Buffer {
  if (boxed.length < nonceLength + tagLength) throw fail('sealed-malformed');
  const end = boxed.length - tagLength;
  const decipher = createDecipheriv('aes-256-gcm', key, boxed.subarray(0, nonceLength));
  decipher.setAAD(bound);
  decipher.setAuthTag(boxed.subarray(end));
  // GCM gives everything in `update`, so no second copy of the secret is ever joined from parts (measured: joining left one behind).
  const plain = decipher.update(boxed.subarray(nonceLength, end));
  try {
    decipher.final();
  } catch {
    plain.fill(0);
    throw fail('sealed-malformed');
  }
  return plain;
}

/** Runs `use` on a secret and overwrites it afterwards, whatever happens. */
export function using<T>(secret: Buffer, use: (secret: Buffer) => T): T {
  try {
    return use(secret);
  } finally {
    secret.fill(0);
  }
}
