// Key wrap and the key derivations around it: AES-KW (RFC 3394), 3DES wrap (RFC 3217), X9.63 (RFC 5753 §7.2), HKDF.
import { createCipheriv, createDecipheriv, hash, hkdfSync } from 'node:crypto';
import { algorithmIdentifier, explicit, integer, NULL, octetString, sequence } from '../pki/der-write.ts';
import type { AgreementScheme, DigestName, WrapAlgorithm } from './algorithms.ts';
import type { AlgorithmId } from './signed-data.ts';

const AES_KW_IV = Buffer.alloc(8, 0xa6);

export function wrapKey(wrap: WrapAlgorithm, kek: Buffer, key: Buffer): Buffer {
  const cipher = createCipheriv(wrap.name, kek, AES_KW_IV);
  return Buffer.concat([cipher.update(key), cipher.final()]);
}

/** Undefined when the wrapped key does not check. */
export function unwrapKey(wrap: WrapAlgorithm, kek: Buffer, wrapped: Buffer): Buffer | undefined {
  if (wrapped.length < 24 || wrapped.length % 8 !== 0 || wrapped.length > 72) return undefined;
  try {
    const decipher = createDecipheriv(wrap.name, kek, wrap.name === 'des3-wrap' ? null : AES_KW_IV);
    const key = Buffer.from(decipher.update(wrapped));
    decipher.final();
    return key;
  } catch {
    return undefined;
  }
}

/** ECC-CMS-SharedInfo; `keyInfo` is the AlgorithmIdentifier of the wrap as the message has it. */
function sharedInfo(keyInfo: Buffer, kekLength: number, userKeyingMaterial: Buffer | undefined): Buffer {
  const bits = Buffer.alloc(4);
  bits.writeUInt32BE(kekLength * 8);
  const material = userKeyingMaterial === undefined ? [] : [explicit(0, octetString(userKeyingMaterial))];
  return sequence(keyInfo, ...material, explicit(2, octetString(bits)));
}

function x963(digest: DigestName, secret: Buffer, info: Buffer, length: number): Buffer {
  const blocks: Buffer[] = [];
  const counter = Buffer.alloc(4);
  for (let have = 0; have < length; ) {
    counter.writeUInt32BE(blocks.length + 1);
    const block = hash(digest, Buffer.concat([secret, counter, info]), 'buffer');
    blocks.push(block);
    have += block.length;
  }
  return Buffer.concat(blocks).subarray(0, length);
}

/** The key encryption key of an agreement (RFC 5753 §7.2, RFC 8418 §2.2: the user keying material is the salt too). */
export function agreedKek(
  scheme: AgreementScheme,
  secret: Buffer,
  keyInfo: Buffer,
  kekLength: number,
  userKeyingMaterial?: Buffer,
): Buffer {
  const info = sharedInfo(keyInfo, kekLength, userKeyingMaterial);
  if (scheme.kdf === 'x963') return x963(scheme.digest, secret, info, kekLength);
  return Buffer.from(hkdfSync(scheme.digest, secret, userKeyingMaterial ?? Buffer.alloc(0), info, kekLength));
}

/** The key encryption key of a KEM recipient (RFC 9629 §5). */
export function encapsulatedKek(
  digest: DigestName,
  secret: Buffer,
  wrap: Buffer,
  kekLength: number,
  ukm?: Buffer,
): Buffer {
  const info = sequence(wrap, integer(kekLength), ...(ukm === undefined ? [] : [ukm]));
  return Buffer.from(hkdfSync(digest, secret, Buffer.alloc(0), info, kekLength));
}

/**
 * Spellings of a wrap identifier under which senders derive: as received, then without parameters, then with NULL.
 * OpenSSL 1.1.1 and Windows wrote one into the message and derived with the other.
 */
export function keyInfoSpellings(algorithm: AlgorithmId): Buffer[] {
  const spellings = [algorithm.bytes, algorithmIdentifier(algorithm.oid), algorithmIdentifier(algorithm.oid, NULL)];
  return spellings.filter((one, index) => spellings.findIndex((other) => other.equals(one)) === index);
}
