// Which certificate is used, and the reason against each of the others.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { type CertificateRecord, formatKeyId, tenantId } from '@sealpost/core';
import { type CertificateProfile, issueCertificate } from '@sealpost/smime';
import { memoryKeyService } from '@sealpost/testkit';
import { chosen, decryptionRecords, encryptionCandidates, signingCandidates } from '../src/certificates.ts';

const now = new Date('2026-06-01T00:00:00Z');
const keys = memoryKeyService({ now: () => new Date('2026-05-31T12:00:00Z') });
const tenant = tenantId('alpha');
const { certificate: ca, privateKey } = keys.authority(tenant);
const day = (offset: number): Date => new Date(now.getTime() + offset * 3_600_000);

interface Wanted {
  readonly names?: string;
  readonly from?: number;
  readonly to?: number;
  readonly profile?: CertificateProfile;
  readonly bits?: number;
  readonly pinned?: boolean;
  readonly use?: 'signing' | 'decryption';
  readonly isStranger?: boolean;
}

/** Times in hours from now. */
function record({
  names = 'bob@x.test',
  from = -10,
  to = 10,
  profile = 'smime-encrypt',
  bits = 2048,
  pinned = false,
  use,
  isStranger = false,
}: Wanted): CertificateRecord {
  const pair = generateKeyPairSync('rsa', { modulusLength: bits });
  const certificate = issueCertificate({
    subject: { commonName: 'Bob' },
    addresses: [names],
    publicKey: pair.publicKey,
    notBefore: day(from),
    notAfter: day(to),
    profile,
    issuer: isStranger ? { certificate: 'self', privateKey: pair.privateKey } : { certificate: ca, privateKey },
  });
  return {
    fingerprint: certificate.fingerprint,
    certificate: certificate.der,
    chain: [],
    address: 'bob@x.test',
    pinned,
    ...(use ? { keyId: formatKeyId({ tenant, identity: 'bob@x.test', use, version: 1 }) } : {}),
  };
}

test('the newest of those that may be used, whatever the order', () => {
  const older = record({ from: -12 });
  const newer = record({ from: -2 });
  const expired = record({ from: -1, to: -0.5 });
  for (const records of [
    [older, newer, expired],
    [expired, newer, older],
  ]) {
    assert.equal(chosen(encryptionCandidates(records, [ca], now))?.fingerprint, newer.fingerprint);
  }
});

for (const [what, wanted, refusal] of [
  ['expired', { to: -1 }, 'expired'],
  ['not valid yet', { from: 1 }, 'not-yet-valid'],
  ['for signing only', { profile: 'smime-sign' }, 'key-usage'],
  ['for TLS', { profile: 'tls-server' }, 'key-usage'],
  ['a short key', { bits: 1024 }, 'weak-key'],
  ["somebody else's address", { names: 'bobby@x.test' }, 'address'],
  ['no path to a trust anchor', { isStranger: true }, 'path: untrusted'],
  ['pinned and expired', { pinned: true, to: -1 }, 'expired'],
] as const) {
  test(`not used: ${what}`, () => {
    const [candidate] = encryptionCandidates([record(wanted)], [ca], now);
    assert.equal(candidate?.refusal, refusal);
    assert.equal(chosen(candidate ? [candidate] : []), undefined);
  });
}

test('used: pinned without a path and by another name; the same address in other case', () => {
  for (const wanted of [{ pinned: true, isStranger: true, names: 'team@x.test' }, { names: 'Bob@X.test' }]) {
    const [candidate] = encryptionCandidates([record(wanted)], [ca], now);
    assert.equal(candidate?.refusal, undefined);
  }
});

test('bytes that are no certificate do not hide the others', () => {
  const good = record({});
  const broken = { ...good, certificate: Buffer.from('x'), fingerprint: 'x' };
  const found = encryptionCandidates([broken, good], [ca], now);
  assert.equal(chosen(found)?.fingerprint, good.fingerprint);
  assert.deepEqual(
    found.map(({ refusal }) => refusal),
    [undefined, 'malformed'],
  );
});

test('signing needs a key of ours for signing; old decryption keys stay in use', () => {
  const partner = record({ profile: 'smime' });
  const signing = record({ profile: 'smime-sign', use: 'signing' });
  const decryption = record({ use: 'decryption', to: -1 });
  const all = [partner, signing, decryption];
  assert.deepEqual(
    signingCandidates(all, now).map((candidate) => candidate.record),
    [signing],
  );
  assert.deepEqual(decryptionRecords(all), [decryption]);
  assert.equal(chosen(signingCandidates([record({ profile: 'smime-sign', use: 'signing', to: -1 })], now)), undefined);
});
