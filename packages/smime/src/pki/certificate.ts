// One X.509 certificate (RFC 5280 §4.1), parsed once and immutable. What every message needs is decoded at parse time;
// the key object and the printable names when first asked for. The same bytes give the same object while it is in
// the cache, so imported keys and checked signatures are kept between messages.
import { type AsymmetricKeyDetails, createPublicKey, hash, type KeyObject } from 'node:crypto';
import { SmimeError } from '../errors.ts';
import {
  asBuffer,
  children,
  context,
  DerCursor,
  type DerNode,
  enter,
  readBoolean,
  readDer,
  readIntegerBytes,
  readNamedBits,
  readOid,
  readSmallInteger,
  readTime,
  TAG,
} from './der.ts';
import { type GeneralName, readGeneralNames } from './general-name.ts';
import { type KeyAlgorithm, type KeyType, readKeyType } from './key-algorithm.ts';
import { nameKeys, nameString } from './name.ts';
import { EXTENSION } from './oids.ts';

/** Above the largest honest certificate: SLH-DSA-256f signatures are 49,856 bytes. */
export const MAX_CERTIFICATE_BYTES = 128 * 1024;

/** Parsed certificates kept; the oldest use goes first. */
const MAX_CACHED = 2048;
/** Octets of DER kept: room for the full count of ordinary ones. Parsed, the worst takes ten times its size (measured). */
const MAX_CACHED_BYTES = 8 * 1024 * 1024;
/** One above this is not kept. Ordinary certificates are 1 to 2 KiB, with ML-DSA 8 KiB. */
const MAX_CACHED_CERTIFICATE_BYTES = 16 * 1024;

/** Extensions in one certificate or CRL at most. */
const MAX_EXTENSIONS = 128;

export type KeyUsage =
  | 'digitalSignature'
  | 'contentCommitment'
  | 'keyEncipherment'
  | 'dataEncipherment'
  | 'keyAgreement'
  | 'keyCertSign'
  | 'cRLSign'
  | 'encipherOnly'
  | 'decipherOnly';

/** In bit order (RFC 5280 §4.2.1.3). */
export const KEY_USAGES: readonly KeyUsage[] = [
  'digitalSignature',
  'contentCommitment',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
];

export interface Extension {
  readonly critical: boolean;
  /** Content of extnValue: a DER element of the extension's own type. */
  readonly value: Buffer;
}

/** Extensions by OID. A repeated one is refused (RFC 5280 §4.2). `node` is the SEQUENCE OF. */
export function readExtensions(node: DerNode): Map<string, Extension> {
  const extensions = new Map<string, Extension>();
  for (const item of children(node, MAX_EXTENSIONS)) {
    const cursor = enter(item);
    const type = readOid(cursor.next(TAG.oid));
    const flag = cursor.optional(TAG.boolean);
    const value = cursor.next(TAG.octetString).content;
    cursor.end();
    if (extensions.has(type)) throw new SmimeError('malformed-der');
    extensions.set(type, { critical: flag !== undefined && readBoolean(flag), value });
  }
  return extensions;
}

/** Signature octets. Unused bits fit no scheme: such a one is kept as empty, parses, and never verifies. */
export function readSignature(bits: DerNode): Buffer {
  return bits.content[0] === 0 ? bits.content.subarray(1) : Buffer.alloc(0);
}

export class Certificate {
  readonly der: Buffer;
  /** SHA-256 of the DER, lower-case hex. */
  readonly fingerprint: string;
  /** 0 for v1, 2 for v3. */
  readonly version: number;
  /** INTEGER content as encoded. */
  readonly serial: Buffer;
  readonly issuerDer: Buffer;
  readonly subjectDer: Buffer;
  readonly spki: Buffer;
  readonly keyType: KeyType;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly extensions: ReadonlyMap<string, Extension>;
  readonly subjectAltNames: readonly GeneralName[];
  /** rfc822Name and SmtpUTF8Mailbox of the subjectAltName, as written. */
  readonly addresses: readonly string[];
  readonly subjectKeyId?: Buffer;
  readonly authorityKeyId?: Buffer;
  readonly keyUsage?: ReadonlySet<KeyUsage>;
  /** OIDs. */
  readonly extendedKeyUsage?: readonly string[];
  readonly isCa: boolean;
  readonly pathLength?: number;
  /** What the signature covers. */
  readonly tbs: Buffer;
  /** AlgorithmIdentifier of the signature, whole. */
  readonly signatureAlgorithm: Buffer;
  readonly signature: Buffer;
  #publicKey: KeyObject | undefined;
  #keyDetails: AsymmetricKeyDetails | undefined;
  #subject: string | undefined;
  #issuer: string | undefined;
  #subjectKey: string | undefined;
  #issuerKey: string | undefined;

  /** `der` must be the caller's to keep: it is not copied. Use parseCertificate. */
  constructor(der: Buffer, fingerprint: string) {
    this.der = der;
    this.fingerprint = fingerprint;
    const outer = enter(readDer(der, TAG.sequence));
    const tbs = outer.next(TAG.sequence);
    this.tbs = tbs.bytes;
    this.signatureAlgorithm = outer.next(TAG.sequence).bytes;
    this.signature = readSignature(outer.next(TAG.bitString));
    outer.end();

    const cursor = enter(tbs);
    const version = cursor.optional(context(0, true));
    this.version = version === undefined ? 0 : readSmallInteger(readDer(version.content, TAG.integer));
    this.serial = readIntegerBytes(cursor.next(TAG.integer));
    // Both copies of the algorithm must agree (§4.1.1.2): the outer one is not under the signature.
    if (!cursor.next(TAG.sequence).bytes.equals(this.signatureAlgorithm)) throw new SmimeError('malformed-der');
    this.issuerDer = cursor.next(TAG.sequence).bytes;
    const validity = enter(cursor.next(TAG.sequence));
    this.notBefore = readTime(validity.next());
    this.notAfter = readTime(validity.next());
    validity.end();
    this.subjectDer = cursor.next(TAG.sequence).bytes;
    const spki = cursor.next(TAG.sequence);
    this.spki = spki.bytes;
    this.keyType = readKeyType(spki);
    cursor.optional(context(1));
    cursor.optional(context(2));
    const extensions = cursor.optional(context(3, true));
    cursor.end();
    this.extensions = extensions === undefined ? new Map() : readExtensions(readDer(extensions.content, TAG.sequence));

    this.subjectAltNames = this.#extension(EXTENSION.subjectAltName, readGeneralNames) ?? [];
    this.addresses = this.subjectAltNames.flatMap((name) =>
      (name.kind === 'rfc822' || name.kind === 'smtp-utf8') && name.value !== '' ? [name.value] : [],
    );
    const subjectKeyId = this.#extension(EXTENSION.subjectKeyIdentifier, (node) => node.content);
    if (subjectKeyId !== undefined) this.subjectKeyId = subjectKeyId;
    const authorityKeyId = this.#extension(EXTENSION.authorityKeyIdentifier, readAuthorityKeyId);
    if (authorityKeyId !== undefined) this.authorityKeyId = authorityKeyId;
    const keyUsage = this.#extension(EXTENSION.keyUsage, readKeyUsage);
    if (keyUsage !== undefined) this.keyUsage = keyUsage;
    const extendedKeyUsage = this.#extension(EXTENSION.extendedKeyUsage, (node) => children(node).map(readOid));
    if (extendedKeyUsage !== undefined) this.extendedKeyUsage = extendedKeyUsage;
    const constraints = this.#extension(EXTENSION.basicConstraints, readBasicConstraints);
    this.isCa = constraints?.isCa ?? false;
    if (constraints?.pathLength !== undefined) this.pathLength = constraints.pathLength;
  }

  #extension<T>(oid: string, read: (node: DerNode) => T): T | undefined {
    const extension = this.extensions.get(oid);
    return extension === undefined ? undefined : read(readDer(extension.value));
  }

  get serialHex(): string {
    return this.serial.toString('hex');
  }

  /** RFC 7468 text with a line end after the last line. */
  get pem(): string {
    const lines = this.der.toString('base64').match(/.{1,64}/g) ?? [];
    return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
  }

  get keyAlgorithm(): KeyAlgorithm {
    return this.keyType.algorithm;
  }

  /** Throws SmimeError `unsupported-algorithm` for a key that node:crypto cannot import. */
  get publicKey(): KeyObject {
    // Curves spelled out are forbidden (RFC 5480 §2.1.1): one with another generator poses as a CA's (CVE-2020-0601).
    if (this.keyAlgorithm === 'ec' && this.keyType.parameters?.tag !== TAG.oid) {
      throw new SmimeError('unsupported-algorithm');
    }
    this.#publicKey ??= importPublicKey(this.spki);
    return this.#publicKey;
  }

  /** Size and curve of the key; throws like `publicKey`. */
  get keyDetails(): AsymmetricKeyDetails {
    this.#keyDetails ??= this.publicKey.asymmetricKeyDetails ?? {};
    return this.#keyDetails;
  }

  /** RFC 4514 form, for people. */
  get subject(): string {
    this.#subject ??= nameString(this.subjectDer);
    return this.#subject;
  }

  get issuer(): string {
    this.#issuer ??= nameString(this.issuerDer);
    return this.#issuer;
  }

  /** Comparison form (RFC 5280 §7.1): equal strings mean equal names. */
  get subjectKey(): string {
    this.#subjectKey ??= nameKeys(this.subjectDer).join(',');
    return this.#subjectKey;
  }

  get issuerKey(): string {
    this.#issuerKey ??= nameKeys(this.issuerDer).join(',');
    return this.#issuerKey;
  }

  /** Subject and issuer are the same name (RFC 5280 §3.2). Says nothing about who signed. */
  get selfIssued(): boolean {
    return this.subjectDer.equals(this.issuerDer) || this.subjectKey === this.issuerKey;
  }
}

export function importPublicKey(spki: Buffer): KeyObject {
  try {
    return createPublicKey({ key: spki, format: 'der', type: 'spki' });
  } catch {
    throw new SmimeError('unsupported-algorithm');
  }
}

function readAuthorityKeyId(node: DerNode): Buffer | undefined {
  return enter(node).optional(context(0))?.content;
}

function readKeyUsage(node: DerNode): ReadonlySet<KeyUsage> {
  return new Set(readNamedBits(node).flatMap((bit) => KEY_USAGES[bit] ?? []));
}

function readBasicConstraints(node: DerNode): { isCa: boolean; pathLength: number | undefined } {
  const cursor = new DerCursor(node.content);
  const flag = cursor.optional(TAG.boolean);
  const length = cursor.optional(TAG.integer);
  cursor.end();
  return {
    isCa: flag !== undefined && readBoolean(flag),
    pathLength: length === undefined ? undefined : readSmallInteger(length),
  };
}

/** Octets at the end of a certificate, of its signature, by which it is found; whether it is the same is told by all of them. */
const TAIL = 24;

const cache = new Map<string, Certificate>();
let cachedBytes = 0;

/** Count and octets of what is kept, whatever mail brings. */
export function cacheSize(): { readonly certificates: number; readonly bytes: number } {
  return { certificates: cache.size, bytes: cachedBytes };
}

function remember(place: string, certificate: Certificate): void {
  forget(place);
  cache.set(place, certificate);
  cachedBytes += certificate.der.length;
  for (const oldest of cache.keys()) {
    if (cache.size <= MAX_CACHED && cachedBytes <= MAX_CACHED_BYTES) return;
    forget(oldest);
  }
}

function forget(place: string): void {
  cachedBytes -= cache.get(place)?.der.length ?? 0;
  cache.delete(place);
}

/** A certificate from exactly its DER. Throws SmimeError `malformed-certificate` or `limit-exceeded`. */
export function certificateFromDer(der: Uint8Array): Certificate {
  if (der.length > MAX_CERTIFICATE_BYTES) throw new SmimeError('limit-exceeded');
  const place = asBuffer(der).toString('latin1', Math.max(0, der.length - TAIL));
  const known = cache.get(place);
  if (known?.der.equals(der) === true) {
    cache.delete(place);
    cache.set(place, known);
    return known;
  }
  // A copy, for the parsed certificate outlives the message that it came with; and not from Node's pool, of which each
  // would keep a whole slab (64 KiB).
  const own = Buffer.allocUnsafeSlow(der.length);
  own.set(der);
  const certificate = parse(own, hash('sha256', own));
  if (der.length <= MAX_CACHED_CERTIFICATE_BYTES) remember(place, certificate);
  return certificate;
}

function parse(der: Buffer, fingerprint: string): Certificate {
  try {
    const certificate = new Certificate(der, fingerprint);
    // Names are compared later, where a malformed one must not surprise: decode them once here.
    void certificate.subjectKey;
    void certificate.issuerKey;
    return certificate;
  } catch {
    throw new SmimeError('malformed-certificate');
  }
}
