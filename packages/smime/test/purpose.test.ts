import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import type { Certificate } from '../src/pki/certificate.ts';
import { namedBits, oid, sequence } from '../src/pki/der-write.ts';
import { type CertificateProfile, issueCertificate } from '../src/pki/issue.ts';
import { lintCertificate } from '../src/pki/lint.ts';
import { EXTENSION, PURPOSE } from '../src/pki/oids.ts';
import { type Fitness, mayEncryptTo, mayVerifyWith } from '../src/pki/purpose.ts';
import { AFTER, AT, BEFORE, extension, forge, type Pair } from './forge.ts';

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ed25519 = generateKeyPairSync('ed25519');
const x25519 = generateKeyPairSync('x25519');

function issue(keys: Pair, profile: CertificateProfile): Certificate {
  const root = forge('Root', []);
  return issueCertificate({
    subject: { commonName: 'Alice' },
    addresses: ['alice@alpha.test'],
    publicKey: keys.publicKey,
    notBefore: BEFORE,
    notAfter: AFTER,
    profile,
    issuer: { certificate: root.certificate, privateKey: root.privateKey },
  });
}

function say(fitness: Fitness): string {
  return fitness.ok ? 'ok' : fitness.reason;
}

test('key usage separates encryption from signatures', () => {
  const cases: [Certificate, string, string][] = [
    [issue(ec, 'smime'), 'ok', 'ok'],
    [issue(ec, 'smime-sign'), 'key-usage', 'ok'],
    [issue(ec, 'smime-encrypt'), 'ok', 'key-usage'],
    [issue(ed25519, 'smime'), 'key-usage', 'ok'],
    [issue(x25519, 'smime-encrypt'), 'ok', 'key-usage'],
    [issue(ec, 'tls-client'), 'key-usage', 'eku'],
    [forge('Bare', []).certificate, 'ok', 'ok'],
    [forge('Repudiation', [extension(EXTENSION.keyUsage, namedBits([1]))]).certificate, 'key-usage', 'ok'],
    [forge('Any', [extension(EXTENSION.extendedKeyUsage, sequence(oid(PURPOSE.any)))]).certificate, 'ok', 'ok'],
  ];
  for (const [certificate, encrypt, verify] of cases) {
    assert.deepEqual(
      [say(mayEncryptTo(certificate, AT)), say(mayVerifyWith(certificate, AT))],
      [encrypt, verify],
      certificate.subject,
    );
  }
});

test('validity includes both its ends', () => {
  const certificate = issue(ec, 'smime');
  const around = (date: Date, ms: number): string => say(mayEncryptTo(certificate, new Date(Number(date) + ms)));
  assert.deepEqual([around(BEFORE, -1000), around(BEFORE, 0)], ['not-yet-valid', 'ok']);
  assert.deepEqual([around(AFTER, 0), around(AFTER, 1000)], ['ok', 'expired']);
});

test('small keys and small curves are weak', () => {
  const rsa1024 = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const p192 = generateKeyPairSync('ec', { namedCurve: 'prime192v1' });
  for (const keys of [rsa1024, p192]) {
    assert.equal(say(mayEncryptTo(issue(keys, 'smime'), AT)), 'weak-key');
    assert.equal(say(mayVerifyWith(issue(keys, 'smime'), AT)), 'weak-key');
  }
});

test('lint names what the baseline requirements ask for', () => {
  assert.deepEqual(lintCertificate(issue(ec, 'smime')), [
    'no-authority-key-identifier',
    'no-policy',
    'no-revocation-pointer',
  ]);
  const bad = forge('mallory@alpha.test', [
    extension(EXTENSION.extendedKeyUsage, sequence(oid(PURPOSE.any))),
    extension(EXTENSION.keyUsage, namedBits([0, 5])),
  ]);
  assert.deepEqual(lintCertificate(bad.certificate), [
    'serial-too-short',
    'no-mailbox',
    'subject-mailbox-not-in-alternative-name',
    'no-email-protection',
    'forbidden-purpose',
    'key-usage-not-critical',
    'forbidden-key-usage',
    'no-authority-key-identifier',
    'no-policy',
    'no-revocation-pointer',
  ]);
});
