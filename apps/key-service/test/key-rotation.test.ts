// Versions of a person's keys: the newest active one signs, every one opens what was encrypted to it, and the tenant's CA renews
// certificates, for every algorithm that keys are made of.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type KeyId, type KeyUse, tenantId } from '@sealpost/core';
import { decryptionPartner, type SigningAlgorithm, signingAlgorithms } from '@sealpost/service';
import { certificateFromDer, type KeyPort, localKeys, open, protect } from '@sealpost/smime';
import { addIdentity, tenantAuthority } from '../src/authority/tenant-authority.ts';
import { moveKey, self } from '../src/lifecycle/move-key.ts';
import { rotateKey, twinsOf } from '../src/lifecycle/rotate-keys.ts';
import type { OpenStore } from '../src/open-store.ts';
import { certificates } from '../src/operations/certificates.ts';
import type { Call } from '../src/operations/operation.ts';
import { privateKeyOf } from '../src/vault/wrap-key.ts';
import { openedStore, withSecretOf } from './opened-store.ts';

const alpha = tenantId('alpha');
const address = 'alice@alpha.test';
const mail = Buffer.from('From: alice@alpha.test\r\nSubject: x\r\nContent-Type: text/plain\r\n\r\nWords of alice\r\n');

function add(store: OpenStore, algorithm: SigningAlgorithm, single = false): Promise<void> {
  const decryptionAlgorithm = decryptionPartner(algorithm);
  return addIdentity({ tenant: alpha, address, commonName: 'Alice', algorithm, decryptionAlgorithm, single }, store);
}

/** What the worker is told of the address. */
async function listed(store: OpenStore) {
  const call = { store } as unknown as Call;
  const { records } = await certificates.run({ tenant: alpha, address }, call);
  const of = (use: KeyUse) => records.filter(({ keyId }) => keyId?.split('/')[2] === use);
  return { signing: of('signing'), decryption: of('decryption') };
}

async function current(store: OpenStore, use: KeyUse) {
  const key = await store.keys.current(alpha, address, use);
  assert.ok(key);
  return key;
}

async function rotate(store: OpenStore): Promise<void> {
  for (const use of ['signing', 'decryption'] as const) await rotateKey(await current(store, use), store, self);
}

/** Every key of the address that opens, as the worker would lease them. */
async function port(store: OpenStore): Promise<KeyPort> {
  const { signing, decryption } = await listed(store);
  const keys = [...signing, ...decryption].map(async ({ certificate, keyId }) => ({
    certificate: certificateFromDer(certificate),
    privateKey: await withSecretOf(store, keyId as KeyId, privateKeyOf),
  }));
  return localKeys(await Promise.all(keys));
}

/** Signed and encrypted with what stands first in the list. */
async function sealed(store: OpenStore): Promise<Buffer> {
  const { signing, decryption } = await listed(store);
  const [signer, recipient] = [signing[0], decryption[0]].map((record) =>
    certificateFromDer(record?.certificate ?? Buffer.alloc(0)),
  );
  assert.ok(signer && recipient);
  return await protect(mail, {
    keys: await port(store),
    sign: { certificate: signer },
    encrypt: { recipients: [recipient] },
    now: store.now(),
  });
}

async function opens(store: OpenStore, message: Buffer): Promise<boolean> {
  const { decryption } = await listed(store);
  const ca = await tenantAuthority(alpha, store);
  assert.ok(ca);
  const opened = await open(message, {
    keys: await port(store),
    recipients: decryption.map(({ certificate }) => certificateFromDer(certificate)),
    trust: [ca.certificate],
    at: store.now(),
  });
  return opened.kind === 'opened' && opened.message.includes('Words of alice');
}

/** Making RSA-4096 keys takes seconds each, and nothing is different with them. */
const algorithms = signingAlgorithms.filter((each) => each !== 'rsa-4096');
for (const algorithm of algorithms) {
  test(`${algorithm}: a message is signed and opened, before and after a rotation`, async () => {
    await using opened = await openedStore();
    const store = opened.store();
    await add(store, algorithm);
    const before = await sealed(store);
    opened.pass(10 * 60_000);
    await rotate(store);
    assert.equal((await current(store, 'signing')).algorithm, algorithm);
    assert.equal((await current(store, 'decryption')).algorithm, decryptionPartner(algorithm));
    assert.equal(await opens(store, before), true, 'before');
    assert.equal(await opens(store, await sealed(store)), true, 'after');
  });
}

test('after a hundred rotations every message since the first opens, and the newest certificate is used', async () => {
  await using opened = await openedStore();
  const store = opened.store();
  await add(store, 'p-256');
  const messages = [await sealed(store)];
  for (let round = 1; round <= 100; round++) {
    opened.pass(86_400_000);
    await rotateKey(await current(store, 'decryption'), store, self);
    if (round % 50 === 0) messages.push(await sealed(store));
  }
  assert.equal((await current(store, 'decryption')).name.version, 101);
  assert.equal((await listed(store)).decryption[0]?.keyId, (await current(store, 'decryption')).keyId);
  // The ones before are deactivated one by one: nothing is lost with it.
  for (const key of (await store.keys.versions(alpha, address, 'decryption')).slice(1))
    await moveKey(key, 'deactivate', store, self);
  for (const message of messages) assert.equal(await opens(store, message), true);
});

test('what is suspended does not sign; the version before it does, until it is used again', async () => {
  await using opened = await openedStore();
  const store = opened.store();
  await add(store, 'p-256');
  opened.pass(60_000);
  await rotate(store);
  const versions = async () => (await listed(store)).signing.map(({ keyId }) => keyId?.split('/').at(-1));
  assert.deepEqual(await versions(), ['2', '1']);
  const suspended = await moveKey(await current(store, 'signing'), 'suspend', store, self);
  assert.deepEqual(await versions(), ['1']);
  await moveKey(suspended, 'resume', store, self);
  assert.deepEqual(await versions(), ['2', '1']);
});

test('nothing new is encrypted to a compromised key, its certificate says so, and old mail opens', async () => {
  await using opened = await openedStore();
  const store = opened.store();
  await add(store, 'p-256', true);
  const before = await sealed(store);
  const key = await current(store, 'decryption');
  for (const each of await twinsOf(key, store)) await moveKey(each, 'compromise', store, self);
  const { signing, decryption } = await listed(store);
  assert.deepEqual([signing.length, decryption.map(({ opensOnly }) => opensOnly)], [0, [true]]);
  assert.equal(await opens(store, before), true);
});

test('one certificate for both uses is renewed as one, with the same subject and the next end', async () => {
  await using opened = await openedStore();
  const store = opened.store();
  await add(store, 'rsa-2048', true);
  const [first] = (await listed(store)).signing;
  opened.pass(200 * 86_400_000);
  const made = await rotateKey(await current(store, 'signing'), store, self);
  assert.deepEqual(
    made.map(({ keyId }) => keyId),
    ['alpha/alice%40alpha.test/signing/2', 'alpha/alice%40alpha.test/decryption/2'],
  );
  const { signing, decryption } = await listed(store);
  assert.equal(signing[0]?.fingerprint, decryption[0]?.fingerprint);
  const [was, is] = [first, signing[0]].map((record) => certificateFromDer(record?.certificate ?? Buffer.alloc(0)));
  assert.ok(was && is);
  assert.deepEqual([is.subject, is.addresses], [was.subject, was.addresses]);
  assert.ok(is.notAfter.getTime() - was.notAfter.getTime() > 199 * 86_400_000);
  assert.notDeepEqual(is.spki, was.spki);
});
