// Keys from passwords: the derivation of PKCS#12 itself (RFC 7292 appendix B) and PBKDF2 (RFC 8018 §5.2).
import { hash, pbkdf2Sync } from 'node:crypto';
import { enterBer, stringOctets } from '../cms/ber.ts';
import { SmimeError } from '../errors.ts';
import { type DerNode, readOid, readSmallInteger, TAG } from '../pki/der.ts';
import type { WorkBudget } from './work-budget.ts';

/** What the derived octets are for (appendix B.3). */
export const USE = { key: 1, iv: 2, mac: 3 } as const;

/** Block and output size of the digests that PKCS#12 files use, in octets. */
export const DIGESTS: Readonly<Record<string, { readonly name: string; readonly block: number }>> = {
  '1.2.840.113549.2.5': { name: 'md5', block: 64 },
  '1.3.14.3.2.26': { name: 'sha1', block: 64 },
  '2.16.840.1.101.3.4.2.4': { name: 'sha224', block: 64 },
  '2.16.840.1.101.3.4.2.1': { name: 'sha256', block: 64 },
  '2.16.840.1.101.3.4.2.2': { name: 'sha384', block: 128 },
  '2.16.840.1.101.3.4.2.3': { name: 'sha512', block: 128 },
  '1.3.6.1.4.1.1722.12.2.1.16': { name: 'blake2b512', block: 128 },
};

const HMAC: Readonly<Record<string, string>> = {
  '1.2.840.113549.2.7': 'sha1',
  '1.2.840.113549.2.8': 'sha224',
  '1.2.840.113549.2.9': 'sha256',
  '1.2.840.113549.2.10': 'sha384',
  '1.2.840.113549.2.11': 'sha512',
};

const PBKDF2 = '1.2.840.113549.1.5.12';

/** Salts longer than this are no salts; the derivation copies them. */
const MAX_SALT = 4096;
const MAX_KEY = 64;

/** Password forms: UTF-16BE with a final zero for the old scheme, UTF-8 for PBKDF2. */
export function wideForm(password: string): Buffer {
  return Buffer.from(`${password}\0`, 'utf16le').swap16();
}

/** Appendix B.2. `password` is in wide form, or empty for files made without a password. */
export function derivePkcs12(
  { name, block }: { readonly name: string; readonly block: number },
  password: Buffer,
  { salt, iterations }: { readonly salt: Buffer; readonly iterations: number },
  use: number,
  length: number,
  budget: WorkBudget,
): Buffer {
  if (salt.length > MAX_SALT || iterations < 1) throw new SmimeError('malformed-pkcs12');
  const input = Buffer.concat([repeat(salt, block), repeat(password, block)]);
  const diversifier = Buffer.alloc(block, use);
  const parts: Buffer[] = [];
  for (let made = 0; made < length; ) {
    budget.spend(iterations);
    let digest: Buffer = hash(name, Buffer.concat([diversifier, input]), 'buffer');
    for (let i = 1; i < iterations; i++) digest = hash(name, digest, 'buffer');
    parts.push(digest);
    made += digest.length;
    addToBlocks(input, repeat(digest, block).subarray(0, block), block);
  }
  return Buffer.concat(parts).subarray(0, length);
}

/** Copies until a whole number of blocks is filled. */
function repeat(octets: Buffer, block: number): Buffer {
  return Buffer.alloc(Math.ceil(octets.length / block) * block, octets);
}

/** Each block of `input` becomes input + addend + 1, carries cut off. */
function addToBlocks(input: Buffer, addend: Buffer, block: number): void {
  for (let start = 0; start < input.length; start += block) {
    let carry = 1;
    for (let i = block - 1; i >= 0; i--) {
      const sum = (input[start + i] ?? 0) + (addend[i] ?? 0) + carry;
      input[start + i] = sum & 0xff;
      carry = sum >> 8;
    }
  }
}

/** A key by a PBKDF2 AlgorithmIdentifier. `length` when the identifier gives none; undefined demands that it does. */
export function derivePbkdf2(
  identifier: DerNode,
  password: Buffer,
  length: number | undefined,
  budget: WorkBudget,
): Buffer {
  const outer = enterBer(identifier);
  if (readOid(outer.next(TAG.oid)) !== PBKDF2) throw new SmimeError('unsupported-algorithm');
  const cursor = enterBer(outer.next(TAG.sequence));
  const salt = stringOctets(cursor.octetString());
  const iterations = readSmallInteger(cursor.next(TAG.integer));
  const given = cursor.optional(TAG.integer);
  const prf = cursor.optional(TAG.sequence);
  const digest = prf === undefined ? 'sha1' : hmacDigest(prf);
  const keyLength = given === undefined ? length : readSmallInteger(given);
  if (keyLength === undefined || keyLength < 1 || keyLength > MAX_KEY || salt.length > MAX_SALT || iterations < 1) {
    throw new SmimeError('malformed-pkcs12');
  }
  budget.spend(iterations);
  return pbkdf2Sync(password, salt, iterations, keyLength, digest);
}

/** Digest of an HMAC AlgorithmIdentifier. */
export function hmacDigest(identifier: DerNode): string {
  const digest = HMAC[readOid(enterBer(identifier).next(TAG.oid))];
  if (digest === undefined) throw new SmimeError('unsupported-algorithm');
  return digest;
}
