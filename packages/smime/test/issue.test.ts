import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Certificate } from '../src/pki/certificate.ts';
import { parseCertificate } from '../src/pki/encoded.ts';
import { type CertificateProfile, type IssueRequest, issueCertificate } from '../src/pki/issue.ts';

const dir = mkdtempSync(join(tmpdir(), 'sealpost-issue-'));
after(() => rmSync(dir, { recursive: true }));

const notBefore = new Date(Date.now() - 60_000);
const notAfter = new Date(Date.now() + 86_400_000);

type Pair = { publicKey: KeyObject; privateKey: KeyObject };
const rsa = (modulusLength: number): Pair => generateKeyPairSync('rsa', { modulusLength });
const ec = (namedCurve: string): Pair => generateKeyPairSync('ec', { namedCurve });
const ed25519: Pair = generateKeyPairSync('ed25519');
const rsa2048 = rsa(2048);
const p256 = ec('P-256');

function root(pair: Pair): Certificate {
  return issueCertificate({
    subject: { commonName: 'Root', organization: 'Example' },
    publicKey: pair.publicKey,
    notBefore,
    notAfter,
    profile: 'ca',
    issuer: { certificate: 'self', privateKey: pair.privateKey },
  });
}

function pem(certificate: Certificate, file: string): string {
  const path = join(dir, file);
  writeFileSync(path, certificate.pem);
  return path;
}

function openssl(...args: string[]): string {
  const run = spawnSync('openssl', args, { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stdout + run.stderr);
  return run.stdout;
}

function issue(pair: Pair, issuer: Pair, profile: CertificateProfile, more: Partial<IssueRequest> = {}): Certificate {
  return issueCertificate({
    subject: { commonName: 'Zoë' },
    publicKey: pair.publicKey,
    notBefore,
    notAfter,
    profile,
    issuer: { certificate: root(issuer), privateKey: issuer.privateKey },
    ...more,
  });
}

test('every kind of key issues and is issued, and OpenSSL verifies each under strict rules', () => {
  const pairs = { rsa2048, rsa3072: rsa(3072), p256, p384: ec('P-384'), ed25519 };
  for (const [name, issuer] of Object.entries(pairs)) {
    const authority = root(issuer);
    const anchor = pem(authority, `${name}-root.pem`);
    for (const [subject, pair] of Object.entries(pairs)) {
      const leaf = issueCertificate({
        subject: { commonName: 'Alice' },
        addresses: ['alice@alpha.test'],
        publicKey: pair.publicKey,
        notBefore,
        notAfter,
        profile: 'smime',
        issuer: { certificate: authority, privateKey: issuer.privateKey },
      });
      const path = pem(leaf, `${name}-${subject}.pem`);
      assert.match(
        openssl(
          'verify',
          '-x509_strict',
          '-purpose',
          'smimesign',
          '-verify_email',
          'alice@alpha.test',
          '-CAfile',
          anchor,
          path,
        ),
        /OK/,
      );
    }
  }
});

test('an RSA-4096 root verifies itself', () => {
  const path = pem(root(rsa(4096)), 'rsa4096.pem');
  assert.match(openssl('verify', '-x509_strict', '-CAfile', path, path), /OK/);
});

test('each profile carries its key usage and purpose, seen by OpenSSL', () => {
  const expected: [CertificateProfile, Pair, RegExp[]][] = [
    ['smime', rsa2048, [/Key Usage: critical\n +Digital Signature, Key Encipherment\n/, /E-mail Protection/]],
    ['smime', p256, [/Key Usage: critical\n +Digital Signature, Key Agreement\n/]],
    ['smime-sign', rsa2048, [/Key Usage: critical\n +Digital Signature\n/]],
    ['smime-encrypt', rsa2048, [/Key Usage: critical\n +Key Encipherment\n/]],
    ['smime-encrypt', p256, [/Key Usage: critical\n +Key Agreement\n/]],
    ['ca', p256, [/Basic Constraints: critical\n +CA:TRUE\n/, /Certificate Sign, CRL Sign/]],
    ['tls-client', p256, [/TLS Web Client Authentication/]],
    ['tls-server', p256, [/TLS Web Server Authentication/]],
    [{ purpose: '1.3.6.1.4.1.32473.1' }, ed25519, [/Digital Signature\n/, /1\.3\.6\.1\.4\.1\.32473\.1\n/]],
  ];
  for (const [profile, pair, patterns] of expected) {
    const text = openssl('x509', '-noout', '-text', '-in', pem(issue(pair, p256, profile), 'profile.pem'));
    for (const pattern of [...patterns, /Subject Key Identifier/, /Authority Key Identifier/])
      assert.match(text, pattern);
  }
});

test('alternative names of every kind are written and read back', () => {
  const leaf = issue(p256, rsa2048, 'tls-server', {
    addresses: ['bob@Bücher.example', 'δοκιμή@παράδειγμα.example'],
    dnsNames: ['Host.Example'],
    uris: ['sealpost://stage/ingress'],
    ipAddresses: ['127.0.0.1', '::1', '2001:db8::8:800'],
  });
  assert.deepEqual(leaf.addresses, ['bob@xn--bcher-kva.example', 'δοκιμή@xn--hxajbheg2az3al.example']);
  const text = openssl('x509', '-noout', '-text', '-in', pem(leaf, 'names.pem'));
  for (const part of [
    'DNS:host.example',
    'URI:sealpost://stage/ingress',
    'IP Address:127.0.0.1',
    'othername: SmtpUTF8Mailbox',
  ]) {
    assert.ok(text.includes(part), part);
  }
  assert.match(text, /IP Address:0:0:0:0:0:0:0:1/);
  assert.match(text, /IP Address:2001:DB8:0:0:0:0:8:800/);
});

test('serial numbers are positive, 16 octets and differ; DER, PEM and base64 give the same certificate', () => {
  const [one, two] = [issue(p256, p256, 'smime'), issue(p256, p256, 'smime')];
  assert.notEqual(one.serialHex, two.serialHex);
  assert.match(one.serialHex, /^[4-7][0-9a-f]{31}$/);
  const base64 = one.der.toString('base64');
  assert.equal(parseCertificate(one.der), one);
  assert.equal(parseCertificate(Buffer.from(base64)), one);
  assert.equal(
    parseCertificate(Buffer.from(`-----BEGIN CERTIFICATE-----\r\n${base64}\r\n-----END CERTIFICATE-----\r\n`)),
    one,
  );
});

test('a key that is not the issuer’s, and a key unfit for the profile, are refused', () => {
  assert.throws(
    () => issue(p256, rsa2048, 'smime', { issuer: { certificate: root(rsa2048), privateKey: p256.privateKey } }),
    { code: 'key-mismatch' },
  );
  assert.throws(() => issue(ed25519, p256, 'smime-encrypt'), { code: 'unsupported-algorithm' });
  assert.throws(() => issue(p256, p256, 'smime', { addresses: ['nobody'] }), RangeError);
});
