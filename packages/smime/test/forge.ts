// Certificates with any extension and any names, for tests only: issueCertificate makes none that is wrong.
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { type Certificate, certificateFromDer } from '../src/pki/certificate.ts';
import {
  algorithmIdentifier,
  bitString,
  boolean,
  explicit,
  integer,
  octetString,
  oid,
  sequence,
  time,
  tlv,
  utf8String,
} from '../src/pki/der-write.ts';
import { EXTENSION } from '../src/pki/oids.ts';

export interface Pair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

export interface Party extends Pair {
  readonly name: string;
  readonly certificate: Certificate;
}

export const AT = new Date('2026-06-01T00:00:00Z');
export const BEFORE = new Date('2026-01-01T00:00:00Z');
export const AFTER = new Date('2027-01-01T00:00:00Z');

export function pair(): Pair {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

export function extension(type: string, value: Uint8Array, critical = false): Buffer {
  return sequence(oid(type), ...(critical ? [boolean(true)] : []), octetString(value));
}

export const CA = extension(EXTENSION.basicConstraints, sequence(boolean(true)), true);

export function nameOf(commonName: string): Buffer {
  return sequence(tlv(0x31, sequence(oid('2.5.4.3'), utf8String(commonName))));
}

let serial = 1;

/** Signed by `issuer`, or by itself without one. */
export function forge(
  name: string,
  extensions: readonly Buffer[],
  issuer?: { readonly name: string; readonly privateKey: KeyObject },
  more: { keys?: Pair; notBefore?: Date; notAfter?: Date; subject?: Buffer } = {},
): Party {
  const keys = more.keys ?? pair();
  const algorithm = algorithmIdentifier('1.2.840.10045.4.3.2');
  const subject = more.subject ?? nameOf(name);
  serial += 1;
  const tbs = sequence(
    explicit(0, integer(2)),
    integer(serial),
    algorithm,
    issuer === undefined ? subject : nameOf(issuer.name),
    sequence(time(more.notBefore ?? BEFORE), time(more.notAfter ?? AFTER)),
    subject,
    keys.publicKey.export({ format: 'der', type: 'spki' }),
    ...(extensions.length === 0 ? [] : [explicit(3, sequence(...extensions))]),
  );
  const signature = sign('sha256', tbs, issuer?.privateKey ?? keys.privateKey);
  return { ...keys, name, certificate: certificateFromDer(sequence(tbs, algorithm, bitString(signature))) };
}
