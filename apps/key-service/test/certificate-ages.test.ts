// How long certificates are valid for yet, as the metric counts them.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { type CertificateRecord, formatKeyId, type KeyUse, type TenantId, tenantId } from '@sealpost/core';
import { issueCertificate } from '@sealpost/smime';
import { certificateAges } from '../src/certificate-ages.ts';

const dayMs = 24 * 60 * 60_000;
const now = new Date('2030-01-01T00:00:00Z');
const tenant = tenantId('alpha');
const { publicKey, privateKey } = generateKeyPairSync('ed25519');

function record(address: string, daysLeft: number, use?: KeyUse): CertificateRecord {
  const { der, fingerprint } = issueCertificate({
    subject: { commonName: address },
    publicKey,
    notBefore: new Date(now.getTime() - 400 * dayMs),
    notAfter: new Date(now.getTime() + daysLeft * dayMs),
    profile: 'ca',
    issuer: { certificate: 'self', privateKey },
  });
  const keyId = use && formatKeyId({ tenant, identity: address, use, version: 1 });
  return { fingerprint, certificate: der, chain: [], address, pinned: !keyId, ...(keyId ? { keyId } : {}) };
}

const store = (records: readonly CertificateRecord[]) => {
  let reads = 0;
  const ofTenant = async (of: TenantId) => {
    reads++;
    return of === tenant ? [...records] : [];
  };
  return { reads: () => reads, open: { certificates: { ofTenant } as never } };
};

/** The counts that are not 0. */
async function counted(records: readonly CertificateRecord[]): Promise<Record<string, number>> {
  const readings = await certificateAges([tenant])(store(records).open, now);
  return Object.fromEntries(
    readings
      .filter(({ value }) => value > 0)
      .map(({ value, labels }) => [`${labels.tenant} ${labels.holder} ${labels.left}`, value]),
  );
}

test('each certificate counts once, under the time that it has left', async () => {
  assert.deepEqual(
    await counted([
      record('a@alpha.test', -1, 'signing'),
      record('b@alpha.test', 0, 'signing'),
      record('c@alpha.test', 6.9, 'signing'),
      record('d@alpha.test', 30, 'signing'),
      record('e@partner.test', 31),
      record('f@partner.test', 400),
      record('ca', 90, 'signing'),
    ]),
    {
      'alpha own ended': 2,
      'alpha own 7 days': 1,
      'alpha own 30 days': 1,
      'alpha partner 90 days': 1,
      'alpha partner longer': 1,
      'alpha authority 90 days': 1,
    },
  );
});

test('a certificate that was replaced does not count; one for another use does', async () => {
  assert.deepEqual(
    await counted([
      record('a@alpha.test', -1, 'signing'),
      record('a@alpha.test', 200, 'signing'),
      record('a@alpha.test', 5, 'decryption'),
    ]),
    { 'alpha own longer': 1, 'alpha own 7 days': 1 },
  );
});

test('the store is read once an hour', async () => {
  const { reads, open } = store([]);
  const ages = certificateAges([tenant]);
  await ages(open, now);
  const after = reads();
  await ages(open, new Date(now.getTime() + dayMs / 24 - 1));
  assert.equal(reads(), after);
  await ages(open, new Date(now.getTime() + dayMs / 24));
  assert.equal(reads(), 2 * after);
});
