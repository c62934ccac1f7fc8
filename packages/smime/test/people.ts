// A small PKI for the tests of this package: one CA and people with certificates of any key kind, made once.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { type Certificate, issueCertificate, type KeyPort, localKeys } from '../src/index.ts';

export const NOW = new Date('2026-06-01T12:00:00Z');
const FROM = new Date('2026-01-01T00:00:00Z');
const UNTIL = new Date('2028-01-01T00:00:00Z');

export type KeyKind =
  | 'rsa'
  | 'rsa-3072'
  | 'p256'
  | 'p384'
  | 'p521'
  | 'brainpool'
  | 'ed25519'
  | 'ed448'
  | 'x25519'
  | 'x448'
  | 'ml-dsa-65'
  | 'ml-kem-768'
  | 'slh-dsa-sha2-128f';

export interface Person {
  readonly address: string;
  readonly certificate: Certificate;
  readonly privateKey: KeyObject;
}

export function makeKeys(kind: KeyKind): { publicKey: KeyObject; privateKey: KeyObject } {
  switch (kind) {
    case 'rsa':
      return generateKeyPairSync('rsa', { modulusLength: 2048 });
    case 'rsa-3072':
      return generateKeyPairSync('rsa', { modulusLength: 3072 });
    case 'p256':
      return generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    case 'p384':
      return generateKeyPairSync('ec', { namedCurve: 'secp384r1' });
    case 'p521':
      return generateKeyPairSync('ec', { namedCurve: 'secp521r1' });
    case 'brainpool':
      return generateKeyPairSync('ec', { namedCurve: 'brainpoolP256r1' });
    case 'ed25519':
      return generateKeyPairSync('ed25519');
    case 'ed448':
      return generateKeyPairSync('ed448');
    case 'x25519':
      return generateKeyPairSync('x25519');
    case 'x448':
      return generateKeyPairSync('x448');
    case 'ml-dsa-65':
      return generateKeyPairSync('ml-dsa-65');
    case 'ml-kem-768':
      return generateKeyPairSync('ml-kem-768');
    case 'slh-dsa-sha2-128f':
      return generateKeyPairSync('slh-dsa-sha2-128f');
  }
}

const caKeys = makeKeys('p256');

export const ca: Certificate = issueCertificate({
  subject: { commonName: 'Test CA' },
  publicKey: caKeys.publicKey,
  notBefore: FROM,
  notAfter: UNTIL,
  profile: 'ca',
  issuer: { certificate: 'self', privateKey: caKeys.privateKey },
});

const people = new Map<string, Person>();

/** The same person each time for the same name and kind. */
export function person(name: string, kind: KeyKind = 'p256'): Person {
  const id = `${name}/${kind}`;
  const known = people.get(id);
  if (known !== undefined) return known;
  const { publicKey, privateKey } = makeKeys(kind);
  const address = `${name}@example.test`;
  const encryptOnly = kind === 'x25519' || kind === 'x448' || kind === 'ml-kem-768';
  const signOnly = kind.startsWith('ed') || kind.includes('dsa');
  const certificate = issueCertificate({
    subject: { commonName: name },
    addresses: [address],
    publicKey,
    notBefore: FROM,
    notAfter: UNTIL,
    profile: encryptOnly ? 'smime-encrypt' : signOnly ? 'smime-sign' : 'smime',
    issuer: { certificate: ca, privateKey: caKeys.privateKey },
  });
  const made = { address, certificate, privateKey };
  people.set(id, made);
  return made;
}

export function keysOf(...holders: readonly Person[]): KeyPort {
  return localKeys(holders);
}

export function mail(from: string, body: string, fields = 'Content-Type: text/plain; charset=us-ascii\r\n'): Buffer {
  return Buffer.from(
    `Received: from a by b;\r\n\tMon, 1 Jun 2026 12:00:00 +0000\r\nFrom: "A. Sender" <${from}>\r\n` +
      `To: bob@example.test\r\nSubject: Hello\r\nMIME-Version: 1.0\r\n${fields}Message-ID: <1@example.test>\r\n\r\n${body}`,
    'utf8',
  );
}
