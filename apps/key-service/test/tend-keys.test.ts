// What the service does with keys by itself, with a clock that is put forward: rotation when it is due, spread over time; the end
// of what was replaced; destruction when its window is over, and not before.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { formatKeyId, type Log, tenantId } from '@sealpost/core';
import type { TenantsConfig } from '@sealpost/service';
import { certificateFromDer, importPublicKey, issueCertificate } from '@sealpost/smime';
import { addIdentity } from '../src/authority/tenant-authority.ts';
import { moveKey, self } from '../src/lifecycle/move-key.ts';
import { nextRotation } from '../src/lifecycle/schedule.ts';
import { tendKeys } from '../src/lifecycle/tend-keys.ts';
import type { OpenStore } from '../src/open-store.ts';
import { importFile } from '../src/operations/import.ts';
import type { Call } from '../src/operations/operation.ts';
import { firstPolicy } from '../src/policy/first-policy.ts';
import type { StoredKey } from '../src/store/key-store.ts';
import { makePrivateKey } from '../src/store/make-key.ts';
import { openedStore, withSecretOf } from './opened-store.ts';

const alpha = tenantId('alpha');
const address = 'alice@alpha.test';
const dayMs = 86_400_000;
const tenants = [{ id: alpha, domains: ['alpha.test'] }] as unknown as TenantsConfig;
const day = (at: Date, from: Date): number => (at.getTime() - from.getTime()) / dayMs;

async function addAlice(store: OpenStore): Promise<void> {
  const algorithm = 'p-256';
  const names = { tenant: alpha, address, commonName: 'Alice' };
  await addIdentity({ ...names, algorithm, decryptionAlgorithm: algorithm, single: false }, store);
}

/** One round; the events that it logged, with how often each. */
async function round(store: OpenStore): Promise<Record<string, number>> {
  const events: Record<string, number> = {};
  const log: Log = {
    event(name) {
      events[name] = (events[name] ?? 0) + 1;
    },
  };
  await tendKeys(store, [alpha], log);
  return events;
}

async function states(store: OpenStore, use: 'signing' | 'decryption' | 'spool'): Promise<string[]> {
  const identity = use === 'spool' ? 'stage.crypto' : address;
  return (await store.keys.versions(alpha, identity, use)).map(({ name, state }) => `${name.version} ${state}`);
}

test('jitter spreads what was made together over five weeks, the same way every time, and never past the certificate', () => {
  const createdAt = new Date('2026-01-01T00:00:00Z');
  const due = (version: number, ends?: Date): number => {
    const keyId = formatKeyId({ tenant: alpha, identity: address, use: 'signing', version });
    return day(
      nextRotation({ keyId, use: 'signing', createdAt }, firstPolicy(false).rotation, ends) ?? createdAt,
      createdAt,
    );
  };
  const dues = Array.from({ length: 200 }, (_, at) => due(at + 1));
  assert.ok(Math.min(...dues) >= 328 && Math.max(...dues) <= 365);
  assert.ok(Math.max(...dues) - Math.min(...dues) > 25);
  assert.deepEqual(
    dues,
    Array.from({ length: 200 }, (_, at) => due(at + 1)),
  );
  assert.equal(due(1, new Date('2026-03-02T00:00:00Z')), 30);
  const ca = formatKeyId({ tenant: alpha, identity: 'ca.internal', use: 'ca', version: 1 });
  assert.equal(nextRotation({ keyId: ca, use: 'ca', createdAt }, firstPolicy(false).rotation), undefined);
});

test('keys are rotated when they are due and not before; what was replaced ends after the overlap; both are on record', async () => {
  await using opened = await openedStore();
  const store = opened.store();
  await addAlice(store);
  await store.keys.add({
    tenant: alpha,
    identity: 'stage.crypto',
    use: 'spool',
    privateKey: await makePrivateKey('x25519'),
  });
  const [first] = await tendKeys(store, [alpha], { event: () => undefined });
  assert.ok(first);
  opened.pass(80 * dayMs);
  assert.deepEqual(await round(store), {});
  opened.pass(11 * dayMs);
  assert.deepEqual(await round(store), { 'key.rotated': 1 });
  assert.deepEqual(await states(store, 'spool'), ['2 active', '1 active']);
  opened.pass(31 * dayMs);
  assert.deepEqual(await round(store), { 'key.moved': 1 });
  assert.deepEqual(await states(store, 'spool'), ['2 active', '1 deactivated']);
  opened.pass(250 * dayMs);
  assert.deepEqual(await round(store), { 'key.rotated': 3 });
  assert.deepEqual(
    [await states(store, 'signing'), await states(store, 'decryption')],
    [
      ['2 active', '1 active'],
      ['2 active', '1 active'],
    ],
  );
  const [newest] = await store.certificates.ofAddress(alpha, address);
  assert.ok(newest && day(certificateFromDer(newest.certificate).notAfter, store.now()) > 700);
  const records = (await opened.log()).filter(({ operation }) => operation === 'key-state');
  assert.ok(
    records.some(({ was, state, actor }) => was === 'active' && state === 'deactivated' && actor.name === 'self'),
  );
});

test('a certificate from elsewhere: the successor waits for its own, once, and the alarm stays on until it comes', async () => {
  await using opened = await openedStore();
  const store = opened.store();
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const privateKey = await makePrivateKey('p-256');
  const key = await store.keys.add({ tenant: alpha, identity: address, use: 'signing', privateKey });
  const issuer = issueCertificate({
    subject: { commonName: 'Elsewhere' },
    publicKey: importPublicKey(authority.publicKey.export({ format: 'der', type: 'spki' })),
    notBefore: store.now(),
    notAfter: new Date(store.now().getTime() + 3650 * dayMs),
    profile: 'ca',
    issuer: { certificate: 'self', privateKey: authority.privateKey },
  });
  const certify = ({ spki }: StoredKey) =>
    issueCertificate({
      subject: { commonName: 'Alice' },
      addresses: [address],
      publicKey: importPublicKey(spki),
      notBefore: store.now(),
      notAfter: new Date(store.now().getTime() + 60 * dayMs),
      profile: 'smime-sign',
      issuer: { certificate: issuer, privateKey: authority.privateKey },
    });
  const { fingerprint, der } = certify(key);
  const record = { fingerprint, certificate: der, chain: [issuer.der], address, pinned: false };
  await store.certificates.add(alpha, { ...record, keyId: key.keyId });
  opened.pass(31 * dayMs);
  assert.deepEqual(await round(store), { 'key.certificate-wanted': 1 });
  assert.deepEqual(await round(store), { 'key.certificate-wanted': 1 });
  assert.deepEqual(await states(store, 'signing'), ['2 pre-active', '1 active']);
  const [due] = await tendKeys(store, [alpha], { event: () => undefined });
  assert.ok(due && due.at < store.now());
  const next = (await store.keys.versions(alpha, address, 'signing'))[0];
  assert.ok(next);
  const renewed = certify(next);
  const caller = { role: 'operator', name: 'o', fingerprint: '' } as const;
  const call: Call = { caller, store, tenants, installation: 'gateway', now: store.now(), note: () => undefined };
  await importFile.run({ file: renewed.der }, call);
  assert.deepEqual(await states(store, 'signing'), ['2 active', '1 active']);
  const records = await store.certificates.ofAddress(alpha, address);
  assert.deepEqual(records.find(({ keyId }) => keyId === next.keyId)?.fingerprint, renewed.fingerprint);
  assert.deepEqual(await round(store), {}, 'and the alarm is over');
});

test('a key is destroyed when its window is over and not before; taken back in time it is as it was', async () => {
  await using opened = await openedStore();
  const store = opened.store();
  await addAlice(store);
  const signing = await store.keys.current(alpha, address, 'signing');
  const decryption = await store.keys.current(alpha, address, 'decryption');
  assert.ok(signing && decryption);
  const destroyAt = new Date(store.now().getTime() + 7 * dayMs);
  for (const key of [signing, decryption]) {
    await moveKey(await moveKey(key, 'compromise', store, self), 'destroy', store, self, destroyAt);
  }
  opened.pass(6 * dayMs);
  assert.deepEqual(await round(store), {});
  const pending = await store.keys.get(decryption.keyId);
  assert.ok(pending);
  await moveKey(pending, 'destroy-cancel', store, self);
  opened.pass(2 * dayMs);
  assert.deepEqual(await round(store), { 'key.destroyed': 1 });
  assert.deepEqual(
    [await states(store, 'signing'), await states(store, 'decryption')],
    [['1 destroyed-compromised'], ['1 compromised']],
  );
  assert.ok(await withSecretOf(store, decryption.keyId, (secret) => secret.length > 0));
});
