// OCSP responses made by OpenSSL, evaluated as stored material.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { NULL as nothing, octetString, oid, sequence } from '../src/pki/der-write.ts';
import { type OcspResponse, ocspStatus, parseOcspResponse } from '../src/pki/ocsp.ts';
import { EXTENSION, PURPOSE } from '../src/pki/oids.ts';
import { validatePath } from '../src/pki/path.ts';
import { CA, extension, forge, type Party } from './forge.ts';

const dir = mkdtempSync(join(tmpdir(), 'sealpost-ocsp-'));
after(() => rmSync(dir, { recursive: true }));

const DAY = 86_400_000;
// A minute ahead: OpenSSL stamps its answers while the tests run, however slow the machine.
const now = new Date(Math.floor(Date.now() / 1000) * 1000 + 60_000);
const life = { notBefore: new Date(Number(now) - DAY), notAfter: new Date(Number(now) + 30 * DAY) };

const responderPurpose = extension(EXTENSION.extendedKeyUsage, sequence(oid(PURPOSE.ocspSigning)));
const noCheck = extension('1.3.6.1.5.5.7.48.1.5', nothing);

const ca = forge('CA', [CA], undefined, life);
const alice = forge('Alice', [], ca, life);
const bob = forge('Bob', [], ca, life);
const responder = forge('Responder', [responderPurpose, noCheck], ca, life);
const checkedResponder = forge('Responder', [responderPurpose], ca, life);
const stranger = forge('Stranger', [], ca, life);

function files(party: Party): { cert: string; key: string } {
  const base = join(dir, party.certificate.fingerprint.slice(0, 16));
  writeFileSync(`${base}.pem`, party.certificate.pem);
  writeFileSync(`${base}.key`, party.privateKey.export({ format: 'pem', type: 'pkcs8' }));
  return { cert: `${base}.pem`, key: `${base}.key` };
}

/** What OpenSSL answers about Alice (good) or Bob (revoked). */
function answer(about: Party, signer: Party, hash = '-sha1'): OcspResponse {
  const index = join(dir, 'index.txt');
  const stamp = '300101000000Z';
  const line = (party: Party, state: string, revoked: string): string =>
    `${state}\t${stamp}\t${revoked}\t${party.certificate.serialHex.toUpperCase()}\tunknown\t/CN=${party.name}\n`;
  writeFileSync(index, line(alice, 'V', '') + line(bob, 'R', '260101000000Z,keyCompromise'));
  const out = join(dir, 'response.der');
  const signing = files(signer);
  const issuer = files(ca).cert;
  const args = ['ocsp', hash, '-index', index, '-CA', issuer, '-issuer', issuer, '-cert', files(about).cert];
  const run = spawnSync('openssl', [
    ...args,
    '-rsigner',
    signing.cert,
    '-rkey',
    signing.key,
    '-ndays',
    '1',
    '-respout',
    out,
  ]);
  assert.equal(run.status, 0, run.stderr.toString());
  const parsed = parseOcspResponse(readFileSync(out));
  assert.ok(parsed !== undefined);
  return parsed;
}

test('an answer by the issuer or its named responder counts, with SHA-1 and SHA-256 identifiers', () => {
  for (const signer of [ca, responder]) {
    for (const hash of ['-sha1', '-sha256']) {
      assert.equal(ocspStatus(alice.certificate, ca.certificate, [answer(alice, signer, hash)], now), 'good');
      assert.equal(ocspStatus(bob.certificate, ca.certificate, [answer(bob, signer, hash)], now), 'revoked');
    }
  }
});

test('answers by others, about others or at another time say nothing', () => {
  const byStranger = answer(alice, stranger);
  assert.equal(ocspStatus(alice.certificate, ca.certificate, [byStranger], now), 'unknown');
  // A responder whose own status would have to be looked up.
  assert.equal(ocspStatus(alice.certificate, ca.certificate, [answer(alice, checkedResponder)], now), 'unknown');
  const good = answer(alice, ca);
  assert.equal(ocspStatus(bob.certificate, ca.certificate, [good], now), 'unknown');
  assert.equal(ocspStatus(alice.certificate, ca.certificate, [good], new Date(Number(now) + 2 * DAY)), 'unknown');
  assert.equal(ocspStatus(alice.certificate, ca.certificate, [good], new Date(Number(now) - DAY / 2)), 'unknown');
  const elsewhere = forge('CA', [CA], undefined, life);
  assert.equal(ocspStatus(alice.certificate, elsewhere.certificate, [good], now), 'unknown');
});

test('a path with OCSP answers: good passes, revoked and missing fail', () => {
  const request = { trust: [ca.certificate], at: now, purpose: 'smime' } as const;
  const ocsp = [answer(alice, responder), answer(bob, responder)];
  assert.ok(validatePath({ ...request, leaf: alice.certificate, ocsp }).ok);
  assert.deepEqual(validatePath({ ...request, leaf: bob.certificate, ocsp }), {
    ok: false,
    failure: { code: 'revoked', depth: 0 },
  });
  const missing = validatePath({ ...request, leaf: stranger.certificate, ocsp });
  assert.deepEqual(missing, { ok: false, failure: { code: 'revocation-unknown', depth: 0 } });
  assert.ok(validatePath({ ...request, leaf: stranger.certificate, ocsp, revocation: 'known' }).ok);
});

test('a flipped byte in an answer never turns revoked into good', () => {
  answer(bob, ca);
  const bytes = readFileSync(join(dir, 'response.der'));
  for (let i = 0; i < bytes.length; i++) {
    const damaged = Buffer.from(bytes);
    damaged[i] = (damaged[i] ?? 0) ^ 0x80;
    try {
      const parsed = parseOcspResponse(damaged);
      const status = parsed && ocspStatus(bob.certificate, ca.certificate, [parsed], now);
      assert.notEqual(status, 'good');
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'malformed-ocsp');
    }
  }
});

test('an error status is no answer', () => {
  assert.equal(parseOcspResponse(Buffer.from('30030a0103', 'hex')), undefined);
  assert.throws(() => parseOcspResponse(octetString(Buffer.alloc(3))), { code: 'malformed-ocsp' });
});
