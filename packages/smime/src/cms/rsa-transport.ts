// Content keys under RSA: PKCS#1 v1.5 with one uniform outcome (RFC 3218), OAEP with any hash, mask hash and label
// (RFC 3560, RFC 4055 §4). Malformed OAEP parameters never fall back to v1.5.
import {
  constants,
  createHash,
  hash,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  timingSafeEqual,
} from 'node:crypto';
import { algorithmIdentifier, explicit, NULL, sequence } from '../pki/der-write.ts';
import { DIGESTS, type DigestName, digestOf, KEY_TRANSPORT } from './algorithms.ts';
import { enterBer, stringOctets } from './ber.ts';
import { type AlgorithmId, readAlgorithm } from './signed-data.ts';

/** Octets of an OAEP label; empty in all real mail. */
const MAX_LABEL = 1024;

export function encryptPkcs1(key: KeyObject, contentKey: Buffer): { algorithm: Buffer; encryptedKey: Buffer } {
  const encryptedKey = publicEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, contentKey);
  return { algorithm: algorithmIdentifier(KEY_TRANSPORT.rsa, NULL), encryptedKey };
}

/** OAEP with one digest for both uses. */
export function encryptOaep(
  key: KeyObject,
  contentKey: Buffer,
  digest: DigestName,
): { algorithm: Buffer; encryptedKey: Buffer } {
  const hash = algorithmIdentifier(DIGESTS[digest].oid, NULL);
  const parameters = sequence(explicit(0, hash), explicit(1, algorithmIdentifier(KEY_TRANSPORT.mgf1, hash)));
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const encryptedKey = publicEncrypt({ key, padding, oaepHash: digest }, contentKey);
  return { algorithm: algorithmIdentifier(KEY_TRANSPORT.oaep, parameters), encryptedKey };
}

/** Per key, for the substitute below; derived from the private key, so every process gives the same answer. */
const substituteKeys = new WeakMap<KeyObject, Buffer>();

function substituteKey(key: KeyObject): Buffer {
  const known = substituteKeys.get(key);
  if (known !== undefined) return known;
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' });
  const made = createHash('sha256').update('smime v1.5 substitute').update(pkcs8).digest();
  pkcs8.fill(0);
  substituteKeys.set(key, made);
  return made;
}

/**
 * The content key of a v1.5 transport. There is always an answer: when the padding or the length is wrong, it is a
 * key that depends on private key and ciphertext only, so neither outcome nor replay tells the cases apart, and the
 * content fails to decrypt like any other wrong key.
 */
export function decryptPkcs1(key: KeyObject, encryptedKey: Buffer, keyLength: number): Buffer {
  return uniformKey(openPkcs1(key, encryptedKey), substituteKey(key), encryptedKey, keyLength);
}

/** What v1.5 gave, or in its place a key from a secret of the key's own and the ciphertext. `opened` is overwritten. */
export function uniformKey(opened: Buffer, secret: Buffer, encryptedKey: Buffer, keyLength: number): Buffer {
  // The secret in front and half of the digest kept: no need for HMAC's second pass, which takes longer than both hashes.
  const substitute = hash('sha512', Buffer.concat([secret, encryptedKey]), 'buffer').subarray(0, keyLength);
  const fits = Number(opened.length === keyLength);
  const padded = Buffer.alloc(keyLength);
  opened.copy(padded, 0, 0, keyLength);
  const mask = -fits & 0xff;
  for (let i = 0; i < keyLength; i++) padded[i] = ((padded[i] ?? 0) & mask) | ((substitute[i] ?? 0) & ~mask);
  opened.fill(0);
  return padded;
}

/** libcrypto rejects implicitly: wrong padding gives octets too. It throws only for what everybody can see. */
function openPkcs1(key: KeyObject, encryptedKey: Buffer): Buffer {
  try {
    return privateDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, encryptedKey);
  } catch {
    return Buffer.alloc(0);
  }
}

export interface OaepParameters {
  readonly digest: DigestName;
  readonly maskDigest: DigestName;
  readonly label: Buffer;
}

/** RSAES-OAEP-params with the defaults of RFC 4055 §4.1; undefined when malformed or unknown. */
export function readOaepParameters(algorithm: AlgorithmId): OaepParameters | undefined {
  let digest: string | undefined = 'sha1';
  let maskDigest: string | undefined = 'sha1';
  let label: Buffer = Buffer.alloc(0);
  if (algorithm.parameters !== undefined) {
    const cursor = enterBer(algorithm.parameters);
    const hash = cursor.optionalContext(0);
    if (hash !== undefined) digest = digestOf(readAlgorithm(enterBer(hash).next()).oid)?.name;
    const mask = cursor.optionalContext(1);
    if (mask !== undefined) {
      const mgf = readAlgorithm(enterBer(mask).next());
      if (mgf.oid !== KEY_TRANSPORT.mgf1 || mgf.parameters === undefined) return undefined;
      maskDigest = digestOf(readAlgorithm(mgf.parameters).oid)?.name;
    }
    const source = cursor.optionalContext(2);
    if (source !== undefined) {
      const specified = readAlgorithm(enterBer(source).next());
      if (specified.oid !== KEY_TRANSPORT.pSpecified || specified.parameters === undefined) return undefined;
      label = stringOctets(specified.parameters);
    }
    if (!cursor.done) return undefined;
  }
  if (!isFixedDigest(digest) || !isFixedDigest(maskDigest) || label.length > MAX_LABEL) return undefined;
  return { digest, maskDigest, label };
}

function isFixedDigest(name: string | undefined): name is DigestName {
  return name !== undefined && name !== 'shake256' && Object.hasOwn(DIGESTS, name);
}

/** Undefined when the parameters are malformed or the padding does not hold. */
export function decryptOaep(key: KeyObject, algorithm: AlgorithmId, encryptedKey: Buffer): Buffer | undefined {
  const parameters = readOaepParameters(algorithm);
  if (parameters === undefined) return undefined;
  const { digest, maskDigest, label } = parameters;
  try {
    if (digest !== maskDigest) return removeOaep(rawDecrypt(key, encryptedKey), parameters);
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    return privateDecrypt({ key, padding, oaepHash: digest, oaepLabel: label }, encryptedKey);
  } catch {
    return undefined;
  }
}

function rawDecrypt(key: KeyObject, encryptedKey: Buffer): Buffer {
  return privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, encryptedKey);
}

/**
 * EME-OAEP decoding (RFC 8017 §7.1.2 step 3) for a mask hash of its own, which node:crypto does not offer. Every
 * check is made before any outcome is taken: an early exit would be Manger's oracle.
 */
function removeOaep(encoded: Buffer, { digest, maskDigest, label }: OaepParameters): Buffer | undefined {
  const size = DIGESTS[digest].bytes;
  if (encoded.length < 2 * size + 2) return undefined;
  const maskedSeed = encoded.subarray(1, 1 + size);
  const maskedBlock = encoded.subarray(1 + size);
  const seed = xor(maskedSeed, mgf1(maskDigest, maskedBlock, size));
  const block = xor(maskedBlock, mgf1(maskDigest, seed, maskedBlock.length));
  const labelHash = createHash(digest).update(label).digest();
  let wrong = (encoded[0] ?? 1) | Number(!timingSafeEqual(block.subarray(0, size), labelHash));
  let separator = 0;
  for (let i = size; i < block.length; i++) {
    const octet = block[i] ?? 0;
    const open = Number(separator === 0);
    separator += open & Number(octet === 1) ? i : 0;
    wrong |= open & Number(octet > 1);
  }
  wrong |= Number(separator === 0);
  return wrong === 0 ? block.subarray(separator + 1) : undefined;
}

function xor(left: Buffer, right: Buffer): Buffer {
  const out = Buffer.alloc(left.length);
  for (let i = 0; i < left.length; i++) out[i] = (left[i] ?? 0) ^ (right[i] ?? 0);
  return out;
}

function mgf1(digest: DigestName, seed: Buffer, length: number): Buffer {
  const blocks: Buffer[] = [];
  const counter = Buffer.alloc(4);
  for (let have = 0; have < length; have += DIGESTS[digest].bytes) {
    counter.writeUInt32BE(blocks.length);
    blocks.push(createHash(digest).update(seed).update(counter).digest());
  }
  return Buffer.concat(blocks).subarray(0, length);
}
