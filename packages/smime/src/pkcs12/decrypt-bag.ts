// Decryption by password of one bag or content (RFC 7292 appendix C, RFC 8018 §6.2), read-only: the old ciphers are here
// because people's old files are. RC4 is not.
import { createDecipheriv } from 'node:crypto';
import { BerCursor, enterBer, stringOctets } from '../cms/ber.ts';
import { SmimeError } from '../errors.ts';
import { type DerNode, readOid, readSmallInteger, TAG } from '../pki/der.ts';
import { decryptRc2Cbc } from '../pki/rc2.ts';
import { DIGESTS, derivePbkdf2, derivePkcs12, USE } from './derive.ts';
import type { WorkBudget } from './work-budget.ts';

const PBES2 = '1.2.840.113549.1.5.13';
const RC2_CBC = '1.2.840.113549.3.2';

/** pbeWithSHA1And… of RFC 7292 appendix C by key octets. */
const OLD: Readonly<Record<string, { readonly cipher: 'des-ede3-cbc' | 'rc2'; readonly keyLength: number }>> = {
  '1.2.840.113549.1.12.1.3': { cipher: 'des-ede3-cbc', keyLength: 24 },
  '1.2.840.113549.1.12.1.4': { cipher: 'des-ede3-cbc', keyLength: 16 },
  '1.2.840.113549.1.12.1.5': { cipher: 'rc2', keyLength: 16 },
  '1.2.840.113549.1.12.1.6': { cipher: 'rc2', keyLength: 5 },
};

const CBC: Readonly<Record<string, { readonly name: string; readonly keyLength: number }>> = {
  '2.16.840.1.101.3.4.1.2': { name: 'aes-128-cbc', keyLength: 16 },
  '2.16.840.1.101.3.4.1.22': { name: 'aes-192-cbc', keyLength: 24 },
  '2.16.840.1.101.3.4.1.42': { name: 'aes-256-cbc', keyLength: 32 },
  '1.2.840.113549.3.7': { name: 'des-ede3-cbc', keyLength: 24 },
};

/** rc2ParameterVersion → effective key bits (RFC 8018 §B.2.3). */
const RC2_BITS: Readonly<Record<number, number>> = { 160: 40, 120: 64, 58: 128 };

/** The forms of one password that implementations use. */
export interface PasswordForms {
  readonly wide: Buffer;
  /** For PBKDF2; tried in order, because old NSS used the wide form there too. */
  readonly narrow: readonly Buffer[];
}

/** Plaintext. Throws SmimeError `wrong-password` when padding or outer shape are wrong. */
export function decryptByPassword(
  identifier: DerNode,
  ciphertext: Buffer,
  password: PasswordForms,
  budget: WorkBudget,
): Buffer {
  const cursor = enterBer(identifier);
  const oid = readOid(cursor.next(TAG.oid));
  const parameters = cursor.next(TAG.sequence);
  if (oid === PBES2) return decryptPbes2(parameters, ciphertext, password, budget);
  const old = OLD[oid];
  const sha1 = DIGESTS['1.3.14.3.2.26'];
  if (old === undefined || sha1 === undefined) throw new SmimeError('unsupported-algorithm');
  const inner = enterBer(parameters);
  const setting = { salt: stringOctets(inner.octetString()), iterations: readSmallInteger(inner.next(TAG.integer)) };
  const key = derivePkcs12(sha1, password.wide, setting, USE.key, old.keyLength, budget);
  const iv = derivePkcs12(sha1, password.wide, setting, USE.iv, 8, budget);
  if (old.cipher === 'rc2') return opened(decryptRc2Cbc(key, old.keyLength * 8, iv, ciphertext));
  // Two-key triple DES repeats the first.
  const full = key.length === 16 ? Buffer.concat([key, key.subarray(0, 8)]) : key;
  return opened(decryptCbc(old.cipher, full, iv, ciphertext));
}

function decryptPbes2(parameters: DerNode, ciphertext: Buffer, password: PasswordForms, budget: WorkBudget): Buffer {
  const cursor = enterBer(parameters);
  const kdf = cursor.next(TAG.sequence);
  const scheme = enterBer(cursor.next(TAG.sequence));
  const oid = readOid(scheme.next(TAG.oid));
  const cipher = CBC[oid];
  let open: (key: Buffer) => Buffer | undefined;
  let keyLength: number;
  if (cipher !== undefined) {
    const iv = stringOctets(scheme.octetString());
    keyLength = cipher.keyLength;
    open = (key) => decryptCbc(cipher.name, key, iv, ciphertext);
  } else if (oid === RC2_CBC) {
    const inner = enterBer(scheme.next(TAG.sequence));
    const version = inner.optional(TAG.integer);
    const bits = version === undefined ? 32 : rc2Bits(readSmallInteger(version));
    const iv = stringOctets(inner.octetString());
    keyLength = Math.ceil(bits / 8);
    open = (key) => decryptRc2Cbc(key, bits, iv, ciphertext);
  } else {
    throw new SmimeError('unsupported-algorithm');
  }
  for (const form of password.narrow) {
    const plain = open(derivePbkdf2(kdf, form, keyLength, budget));
    if (plain !== undefined && isElement(plain)) return plain;
  }
  return opened(undefined);
}

function rc2Bits(version: number): number {
  return RC2_BITS[version] ?? (version >= 256 ? version : 0);
}

/** Undefined when key, IV or padding do not fit. */
function decryptCbc(name: string, key: Buffer, iv: Buffer, ciphertext: Buffer): Buffer | undefined {
  try {
    const decipher = createDecipheriv(name, key, iv);
    return Buffer.concat([decipher.update(ciphertext), decipher.final()]);
  } catch {
    return undefined;
  }
}

function opened(plain: Buffer | undefined): Buffer {
  if (plain === undefined || !isElement(plain)) throw new SmimeError('wrong-password');
  return plain;
}

/** One wrong password of 256 leaves good padding: what comes out must also be one SEQUENCE. */
function isElement(plain: Buffer): boolean {
  try {
    return new BerCursor(plain).next(TAG.sequence).bytes.length === plain.length;
  } catch {
    return false;
  }
}
