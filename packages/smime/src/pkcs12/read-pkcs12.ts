// PKCS#12 files (RFC 7292, PBMAC1 by RFC 9579): certificates and private keys as people export them. BER as NSS and
// macOS write it. The MAC is checked before anything is decrypted.
import { createHmac, createPrivateKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import { BerCursor, berChildren, enterBer, stringOctets } from '../cms/ber.ts';
import { SmimeError } from '../errors.ts';
import { type Certificate, certificateFromDer } from '../pki/certificate.ts';
import { asBuffer, type DerNode, readOid, readSmallInteger, TAG } from '../pki/der.ts';
import { decryptByPassword, type PasswordForms } from './decrypt-bag.ts';
import { DIGESTS, derivePbkdf2, derivePkcs12, hmacDigest, USE, wideForm } from './derive.ts';
import { WorkBudget } from './work-budget.ts';

/** A person's keys and chains are a few KiB; 4 MiB leaves room for keystores. */
const MAX_FILE_BYTES = 4 * 1024 * 1024;
const MAX_BAGS = 1024;
/** SafeContents may hold SafeContents; nobody nests them twice. */
const MAX_NESTING = 4;

const DATA = '1.2.840.113549.1.7.1';
const ENCRYPTED_DATA = '1.2.840.113549.1.7.6';
const PBMAC1 = '1.2.840.113549.1.5.14';
const X509 = '1.2.840.113549.1.9.22.1';
const BAG = '1.2.840.113549.1.12.10.1';

/** RFC 9579 §4: an HMAC key below this can be searched. */
const MIN_MAC_KEY = 20;

export interface Pkcs12 {
  /** In file order, each once. */
  readonly certificates: readonly Certificate[];
  readonly privateKeys: readonly KeyObject[];
}

/**
 * Throws SmimeError `wrong-password` (MAC or padding), `malformed-pkcs12`, `malformed-certificate`,
 * `unsupported-algorithm`, `limit-exceeded` (size, bags or iterations). A file without MAC is taken as it is: whether
 * key and certificate belong together is for the caller to check.
 */
export function readPkcs12(file: Uint8Array, password: string): Pkcs12 {
  if (file.length > MAX_FILE_BYTES) throw new SmimeError('limit-exceeded');
  try {
    return read(asBuffer(file), password);
  } catch (error) {
    if (error instanceof SmimeError && !/^malformed-(der|cms)$/.test(error.code)) throw error;
    throw new SmimeError('malformed-pkcs12');
  }
}

function read(file: Buffer, password: string): Pkcs12 {
  const outer = new BerCursor(file);
  const pfx = enterBer(outer.next(TAG.sequence));
  if (!outer.done || readSmallInteger(pfx.next(TAG.integer)) !== 3) throw new SmimeError('malformed-pkcs12');
  const authSafe = readContentInfo(pfx.next(TAG.sequence));
  const macData = pfx.optional(TAG.sequence);
  if (authSafe.type !== DATA) throw new SmimeError('unsupported-algorithm');
  const budget = new WorkBudget();
  const octets = stringOctets(authSafe.content);
  const forms = passwordForms(password, (form) => macData === undefined || macHolds(macData, octets, form, budget));
  const reader = new BagReader(forms, budget);
  for (const info of berChildren(new BerCursor(octets).next(TAG.sequence), MAX_BAGS)) reader.readSafe(info);
  return { certificates: [...reader.certificates.values()], privateKeys: reader.privateKeys };
}

/** The empty password has two wide forms, a lone zero and nothing at all: the MAC tells which. */
function passwordForms(password: string, holds: (forms: PasswordForms) => boolean): PasswordForms {
  const utf8 = Buffer.from(password, 'utf8');
  const wide = wideForm(password);
  const candidates = password === '' ? [wide, Buffer.alloc(0)] : [wide];
  for (const candidate of candidates) {
    const forms = { wide: candidate, narrow: [utf8, wide] };
    if (holds(forms)) return forms;
  }
  throw new SmimeError('wrong-password');
}

function macHolds(macData: DerNode, octets: Buffer, password: PasswordForms, budget: WorkBudget): boolean {
  const cursor = enterBer(macData);
  const digestInfo = enterBer(cursor.next(TAG.sequence));
  const identifier = digestInfo.next(TAG.sequence);
  const expected = stringOctets(digestInfo.octetString());
  const salt = stringOctets(cursor.octetString());
  const count = cursor.optional(TAG.integer);
  const algorithm = enterBer(identifier);
  const oid = readOid(algorithm.next(TAG.oid));
  if (oid === PBMAC1) return pbmac1Holds(algorithm.next(TAG.sequence), octets, expected, password, budget);
  const digest = DIGESTS[oid];
  if (digest === undefined) throw new SmimeError('unsupported-algorithm');
  const setting = { salt, iterations: count === undefined ? 1 : readSmallInteger(count) };
  const length = createHmac(digest.name, '').digest().length;
  const key = derivePkcs12(digest, password.wide, setting, USE.mac, length, budget);
  return sameMac(createHmac(digest.name, key).update(octets).digest(), expected);
}

function pbmac1Holds(
  parameters: DerNode,
  octets: Buffer,
  expected: Buffer,
  password: PasswordForms,
  budget: WorkBudget,
): boolean {
  const cursor = enterBer(parameters);
  const kdf = cursor.next(TAG.sequence);
  const digest = hmacDigest(cursor.next(TAG.sequence));
  return password.narrow.some((form) => {
    // The identifier must say how long the key is; a short one could be found by trying.
    const key = derivePbkdf2(kdf, form, undefined, budget);
    if (key.length < MIN_MAC_KEY) throw new SmimeError('malformed-pkcs12');
    return sameMac(createHmac(digest, key).update(octets).digest(), expected);
  });
}

function sameMac(made: Buffer, expected: Buffer): boolean {
  return made.length === expected.length && timingSafeEqual(made, expected);
}

function readContentInfo(node: DerNode): { type: string; content: DerNode } {
  const cursor = enterBer(node);
  const type = readOid(cursor.next(TAG.oid));
  return { type, content: explicitContent(cursor.next(0xa0)) };
}

function explicitContent(node: DerNode): DerNode {
  return enterBer(node).next();
}

class BagReader {
  readonly certificates = new Map<string, Certificate>();
  readonly privateKeys: KeyObject[] = [];
  readonly #password: PasswordForms;
  readonly #budget: WorkBudget;
  #bags = 0;

  constructor(password: PasswordForms, budget: WorkBudget) {
    this.#password = password;
    this.#budget = budget;
  }

  /** One ContentInfo of the AuthenticatedSafe. */
  readSafe(info: DerNode): void {
    const { type, content } = readContentInfo(info);
    if (type === DATA) this.#readBags(stringOctets(content), 0);
    else if (type === ENCRYPTED_DATA) this.#readEncrypted(content);
    // Enveloped data would need somebody's private key, not a password.
    else throw new SmimeError('unsupported-algorithm');
  }

  #readEncrypted(content: DerNode): void {
    const cursor = enterBer(content);
    cursor.next(TAG.integer);
    const encrypted = enterBer(cursor.next(TAG.sequence));
    encrypted.next(TAG.oid);
    const identifier = encrypted.next(TAG.sequence);
    const ciphertext = encrypted.optionalContext(0);
    if (ciphertext === undefined) return;
    this.#readBags(this.#decrypt(identifier, stringOctets(ciphertext)), 0);
  }

  #decrypt(identifier: DerNode, ciphertext: Buffer): Buffer {
    return decryptByPassword(identifier, ciphertext, this.#password, this.#budget);
  }

  #readBags(safeContents: Buffer, depth: number): void {
    if (depth === MAX_NESTING) throw new SmimeError('limit-exceeded');
    for (const bag of berChildren(new BerCursor(safeContents).next(TAG.sequence), MAX_BAGS)) {
      this.#bags += 1;
      if (this.#bags > MAX_BAGS) throw new SmimeError('limit-exceeded');
      const { type, content } = readContentInfo(bag);
      if (type === `${BAG}.1`) this.#addKey(content.bytes);
      else if (type === `${BAG}.2`) this.#addShrouded(content);
      else if (type === `${BAG}.3`) this.#addCertificate(content);
      else if (type === `${BAG}.6`) this.#readBags(content.bytes, depth + 1);
      // CRLs and secrets are nobody's business here.
    }
  }

  #addShrouded(node: DerNode): void {
    const cursor = enterBer(node);
    const identifier = cursor.next(TAG.sequence);
    const plain = this.#decrypt(identifier, stringOctets(cursor.octetString()));
    try {
      this.#addKey(plain);
    } finally {
      plain.fill(0);
    }
  }

  #addKey(pkcs8: Buffer): void {
    try {
      this.privateKeys.push(createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }));
    } catch {
      throw new SmimeError('unsupported-algorithm');
    }
  }

  #addCertificate(node: DerNode): void {
    const cursor = enterBer(node);
    if (readOid(cursor.next(TAG.oid)) !== X509) return;
    const certificate = certificateFromDer(stringOctets(explicitContent(cursor.next(0xa0))));
    this.certificates.set(certificate.fingerprint, certificate);
  }
}
