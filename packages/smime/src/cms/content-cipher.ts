// Content under a content key, both ways (RFC 3565, RFC 5084, RFC 8103). Pieces go through node:crypto once.
import { type CipherGCMTypes, createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { readSmallInteger, TAG } from '../pki/der.ts';
import { algorithmIdentifier, integer, octetString, sequence } from '../pki/der-write.ts';
import { decryptRc2Cbc } from '../pki/rc2.ts';
import { type ContentCipher, cipherOf } from './algorithms.ts';
import { enterBer, stringOctets } from './ber.ts';
import type { EnvelopedData } from './enveloped-data.ts';
import { lengthOf } from './pieces.ts';
import type { AlgorithmId } from './signed-data.ts';

/** Octets given to the cipher at once where content is large. */
const SLAB = 1 << 16;

/** From here on content goes through the cipher in slabs: a few large Buffers a message make V8 mark its whole heap often. */
const LARGE = 1 << 17;

/** Tag lengths of GCM and CCM that may be believed: shorter ones can be forged by trying. */
const MIN_TAG = 12;
const TAG_LENGTH = 16;

/** What the identifier of a received message says. */
export interface CipherSetting {
  readonly cipher: ContentCipher;
  readonly keyLength: number;
  readonly iv: Buffer;
  readonly tagLength: number;
}

/** Undefined for an unknown cipher or parameters that do not fit it. Throws SmimeError for malformed ones. */
export function readCipherSetting(algorithm: AlgorithmId): CipherSetting | undefined {
  const cipher = cipherOf(algorithm.oid);
  const { parameters } = algorithm;
  if (cipher === undefined || parameters === undefined) return undefined;
  const { keyLength } = cipher;
  switch (cipher.mode) {
    case 'cbc':
    case 'poly1305': {
      const iv = stringOctets(parameters);
      return iv.length === cipher.ivLength ? { cipher, keyLength, iv, tagLength: TAG_LENGTH } : undefined;
    }
    case 'gcm':
    case 'ccm': {
      const cursor = enterBer(parameters);
      const iv = stringOctets(cursor.octetString());
      const length = cursor.optional(TAG.integer);
      const tagLength = length === undefined ? 12 : readSmallInteger(length);
      const [shortest, longest] = cipher.mode === 'gcm' ? [1, 64] : [7, 13];
      const fits = iv.length >= shortest && iv.length <= longest && tagLength >= MIN_TAG && tagLength <= TAG_LENGTH;
      return fits ? { cipher, keyLength, iv, tagLength } : undefined;
    }
    case 'rc2': {
      const cursor = enterBer(parameters);
      const version = readSmallInteger(cursor.next(TAG.integer));
      const bits = RC2_BITS.get(version) ?? version;
      const iv = stringOctets(cursor.octetString());
      return iv.length === 8 && bits <= 1024 && bits >= 40
        ? { cipher, keyLength: bits / 8, iv, tagLength: 0 }
        : undefined;
    }
  }
}

/** rc2ParameterVersion (RFC 2268 §6) for the effective key bits in use; from 256 on it is the bits themselves. */
const RC2_BITS = new Map([
  [160, 40],
  [120, 64],
  [58, 128],
]);

/**
 * The content in the clear, or undefined: wrong key, padding and tag are one outcome. With `scratch` the ciphertext's
 * memory may be used for it, whatever the outcome.
 */
export function decryptContent(
  enveloped: EnvelopedData,
  setting: CipherSetting,
  key: Buffer,
  scratch = false,
): Buffer | undefined {
  const { cipher } = setting;
  const keyFits = key.length === setting.keyLength || cipher.mode === 'rc2';
  if (!keyFits) return undefined;
  try {
    if (cipher.mode === 'cbc') {
      const decipher = createDecipheriv(cipher.name, key, setting.iv).setAutoPadding(false);
      return withoutPadding(through(decipher, enveloped.content.ciphertext, scratch), cipher.ivLength);
    }
    if (cipher.mode === 'rc2') {
      return decryptRc2Cbc(key, setting.keyLength * 8, setting.iv, Buffer.concat(enveloped.content.ciphertext));
    }
    return decryptAuthenticated(enveloped, setting, key, scratch);
  } catch {
    return undefined;
  }
}

function decryptAuthenticated(
  enveloped: EnvelopedData,
  setting: CipherSetting,
  key: Buffer,
  scratch: boolean,
): Buffer | undefined {
  const { cipher, iv } = setting;
  const { ciphertext, tag, associatedData } = authenticatedParts(enveloped, setting);
  if (tag.length !== setting.tagLength) return undefined;
  const options = { authTagLength: tag.length };
  const plaintextLength = lengthOf(ciphertext);
  if (cipher.mode === 'ccm') {
    const decipher = createDecipheriv(cipher.name as 'aes-256-ccm', key, iv, options).setAuthTag(tag);
    if (associatedData !== undefined) decipher.setAAD(associatedData, { plaintextLength });
    return decipher.update(Buffer.concat(ciphertext));
  }
  const decipher = createDecipheriv(cipher.name as CipherGCMTypes, key, iv, options).setAuthTag(tag);
  if (associatedData !== undefined) decipher.setAAD(associatedData);
  return through(decipher, ciphertext, scratch);
}

/** GCM inside plain EnvelopedData, as some senders make it: the tag is the end of the content. */
function authenticatedParts(enveloped: EnvelopedData, setting: CipherSetting) {
  const { authenticated, content } = enveloped;
  if (authenticated !== undefined) return { ciphertext: content.ciphertext, ...authenticated };
  const all = Buffer.concat(content.ciphertext);
  const end = Math.max(0, all.length - setting.tagLength);
  return { ciphertext: [all.subarray(0, end)], tag: all.subarray(end), associatedData: undefined };
}

/** PKCS#7 padding taken off here: libcrypto holds the last block back for it, and joining that costs a copy of it all. */
function withoutPadding(padded: Buffer, block: number): Buffer | undefined {
  const length = padded[padded.length - 1] ?? 0;
  if (length < 1 || length > block || length > padded.length) return undefined;
  let wrong = 0;
  for (let at = padded.length - length; at < padded.length; at++) wrong |= (padded[at] ?? 0) ^ length;
  return wrong === 0 ? padded.subarray(0, padded.length - length) : undefined;
}

interface Transform {
  update(octets: Buffer): Buffer;
  update(octets: Buffer, from: undefined, to: 'latin1'): string;
  final(): Buffer;
}

/** Nothing leaves before `final` has accepted padding or tag. */
function through(transform: Transform, pieces: readonly Buffer[], scratch: boolean): Buffer {
  const [only] = pieces;
  const single = pieces.length === 1 && only !== undefined ? only : undefined;
  if (single !== undefined && single.length <= LARGE) {
    const body = transform.update(single);
    const end = transform.final();
    return end.length === 0 ? body : Buffer.concat([body, end]);
  }
  // Plaintext is never ahead of ciphertext, so it may take its place: a large message is then in memory once less.
  const out = scratch && single !== undefined ? single : Buffer.allocUnsafeSlow(lengthOf(pieces) + SLAB_SLACK);
  let length = 0;
  // As strings: V8 frees those soon, while up to 32 MiB of short-lived Buffers wait for a full collection.
  for (const slab of slabs(pieces)) {
    length += out.write(transform.update(slab, undefined, 'latin1'), length, 'latin1');
  }
  length += transform.final().copy(out, length);
  return out.subarray(0, length);
}

/** Octets a block cipher may hold back and give later. */
const SLAB_SLACK = 32;

function* slabs(pieces: readonly Buffer[]): Generator<Buffer> {
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; at += SLAB) yield piece.subarray(at, at + SLAB);
  }
}

/** A content cipher ready to encrypt, with the identifier that says how. */
export class ContentEncryption {
  readonly algorithm: Buffer;
  readonly key: Buffer;
  readonly #cipher: ContentCipher;
  readonly #transform: Transform & { getAuthTag?: () => Buffer };

  constructor(cipher: ContentCipher) {
    this.#cipher = cipher;
    this.key = randomBytes(cipher.keyLength);
    const iv = randomBytes(cipher.ivLength);
    const parameters = cipher.mode === 'gcm' ? sequence(octetString(iv), integer(TAG_LENGTH)) : octetString(iv);
    this.algorithm = algorithmIdentifier(cipher.oid, parameters);
    const options = cipher.mode === 'cbc' ? {} : { authTagLength: TAG_LENGTH };
    this.#transform = createCipheriv(cipher.name, this.key, iv, options as object);
  }

  get authenticated(): boolean {
    return this.#cipher.mode !== 'cbc';
  }

  /** Octets of ciphertext for that many of plaintext. */
  lengthFor(plaintext: number): number {
    return this.authenticated ? plaintext : (Math.floor(plaintext / 16) + 1) * 16;
  }

  /** Ciphertext of the pieces, slab by slab, into `write`. */
  encrypt(pieces: readonly Buffer[], write: (ciphertext: Buffer) => void): void {
    for (const slab of slabs(pieces)) write(this.#transform.update(slab));
    const end = this.#transform.final();
    if (end.length > 0) write(end);
  }

  /** After `encrypt`; only for authenticated ciphers. */
  tag(): Buffer {
    return (this.#transform as unknown as { getAuthTag: () => Buffer }).getAuthTag();
  }
}
