// Certification requests as OpenSSL reads them: signed by the key that they name, with the addresses and usages that were asked for.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { sign, verify } from 'node:crypto';
import { test } from 'node:test';
import { type CertificateProfile, prepareRequest, signOctets } from '../src/index.ts';
import { makeKey } from './request-keys.ts';

const address = 'alice@alpha.test';

function requestOf(type: string, profile: CertificateProfile, more: { address?: string; commonName?: string } = {}) {
  const { privateKey, publicKey } = makeKey(type);
  const subject = { commonName: more.commonName ?? 'Alice' };
  const request = prepareRequest({ subject, addresses: [more.address ?? address], publicKey, profile });
  return { request, der: request.finish(signOctets(privateKey, request.algorithm, request.octets)), publicKey };
}

function openssl(der: Buffer, ...args: readonly string[]) {
  const run = spawnSync('openssl', [...args, '-inform', 'DER'], { input: der });
  return { status: run.status, text: `${run.stdout}${run.stderr}` };
}

for (const [type, profile, usage] of [
  ['rsa', 'smime', 'Digital Signature, Key Encipherment'],
  ['p-256', 'smime-sign', 'Digital Signature'],
  ['p-384', 'smime', 'Digital Signature, Key Agreement'],
  ['p-521', 'smime-encrypt', 'Key Agreement'],
  ['ed25519', 'smime-sign', 'Digital Signature'],
] as const) {
  test(`OpenSSL verifies a request of ${type} and reads what is asked for`, () => {
    const { der } = requestOf(type, profile);
    const { status, text } = openssl(der, 'req', '-verify', '-noout', '-text');
    assert.equal(status, 0, text);
    assert.match(text, /verify OK/);
    assert.match(text, /Subject: CN ?= ?Alice/);
    assert.match(text, /email:alice@alpha\.test/);
    assert.match(text, new RegExp(`X509v3 Key Usage: critical\\s+${usage}\\n`));
    assert.match(text, /E-mail Protection/);
  });
}

test('a flipped byte is found, and one of another key does not verify', () => {
  const { der, request } = requestOf('p-256', 'smime');
  const flipped = Buffer.from(der);
  const at = request.octets.length - 3;
  flipped[at] = (flipped[at] ?? 0) ^ 1;
  const foreign = request.finish(sign('sha256', request.octets, makeKey('p-256').privateKey));
  for (const wrong of [flipped, foreign, der.subarray(0, -1)]) {
    const { text } = openssl(wrong, 'req', '-verify', '-noout');
    assert.doesNotMatch(text, /verify OK/);
  }
});

test('an address beyond ASCII stands as SmtpUTF8Mailbox, and what cannot be written is refused', () => {
  const { der } = requestOf('p-256', 'smime', { address: 'j\u00f6rg@alpha.test' });
  assert.match(openssl(der, 'req', '-noout', '-text').text, /othername/i);
  for (const wrong of ['', 'no-domain', 'a\n@alpha.test', '@alpha.test'])
    assert.throws(() => requestOf('p-256', 'smime', { address: wrong }), RangeError, wrong);
  assert.throws(() => requestOf('p-256', 'smime', { commonName: '' }), RangeError);
});

test('a key that cannot sign, or not for this use, asks for nothing; a post-quantum one signs', () => {
  for (const [type, profile] of [
    ['x25519', 'smime-encrypt'],
    ['ml-kem-768', 'smime-encrypt'],
    ['ed25519', 'smime-encrypt'],
  ] as const) {
    const { publicKey } = makeKey(type);
    const asked = { subject: { commonName: 'A' }, addresses: [address], publicKey, profile };
    assert.throws(() => prepareRequest(asked), { code: 'unsupported-algorithm' }, type);
  }
  const { der, request, publicKey } = requestOf('ml-dsa-44', 'smime-sign');
  assert.equal(openssl(der, 'asn1parse').status, 0);
  const signature = der.subarray(-2420);
  assert.ok(verify(null, request.octets, publicKey, signature));
});
