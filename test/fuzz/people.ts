// The keys of the fuzz inputs, made once and kept beside the findings, so that a finding means the same in the next run.

import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import {
  type Certificate,
  type CertificateProfile,
  issueCertificate,
  type KeyPort,
  localKeys,
  parseCertificate,
} from '../../packages/smime/src/index.ts';

export interface Person {
  readonly certificate: Certificate;
  readonly privateKey: KeyObject;
}

export const FINDINGS = new URL('findings/', import.meta.url);
export const NOW = new Date('2026-06-01T12:00:00Z');
const FROM = new Date('2026-01-01T00:00:00Z');
const UNTIL = new Date('2028-01-01T00:00:00Z');

const KINDS = {
  ca: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  rsa: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  p256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ed25519: () => generateKeyPairSync('ed25519'),
  x25519: () => generateKeyPairSync('x25519'),
} as const;

const file = new URL('people.json', FINDINGS);
const kept: Record<string, string> = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};

function keep(id: string, make: () => string | Buffer): string {
  const known = kept[id];
  if (known !== undefined) return known;
  const made = make().toString();
  kept[id] = made;
  mkdirSync(dirname(file.pathname), { recursive: true });
  writeFileSync(file, JSON.stringify(kept), { mode: 0o600 });
  return made;
}

/** The private key of that name, the same in every run. */
export function keptKey(name: string, kind: keyof typeof KINDS): KeyObject {
  return createPrivateKey(
    keep(`${name} ${kind}`, () => KINDS[kind]().privateKey.export({ type: 'pkcs8', format: 'pem' })),
  );
}

function person(name: string, kind: keyof typeof KINDS, profile: CertificateProfile, issuer?: Person): Person {
  const privateKey = keptKey(name, kind);
  const issue = (): Certificate =>
    issueCertificate({
      subject: { commonName: name },
      ...(profile === 'ca' ? {} : { addresses: [`${name}@example.test`] }),
      publicKey: createPublicKey(privateKey),
      notBefore: FROM,
      notAfter: UNTIL,
      profile,
      issuer: issuer ?? { certificate: 'self', privateKey },
    });
  const pem = keep(`${name} ${kind} certificate`, () => issue().pem);
  return { certificate: parseCertificate(Buffer.from(pem)), privateKey };
}

export const root: Person = person('root', 'ca', 'ca');
export const middle: Person = person('middle', 'ca', 'ca', root);
export const alice = {
  rsa: person('alice', 'rsa', 'smime', middle),
  p256: person('alice', 'p256', 'smime', middle),
  ed25519: person('alice', 'ed25519', 'smime-sign', root),
};
export const bob = {
  rsa: person('bob', 'rsa', 'smime', root),
  p256: person('bob', 'p256', 'smime', root),
  x25519: person('bob', 'x25519', 'smime-encrypt', root),
};

export const keys: KeyPort = localKeys([...Object.values(alice), ...Object.values(bob)]);
