// What one person alone may not do with keys: who gets an exported key can read it and nobody else, what must stay is not destroyed,
// and a KEK is replaced. Approvals themselves: acts.test.ts.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type KeyUse, tenantId } from '@sealpost/core';
import { KeyFault } from '@sealpost/service';
import { parseCertificate } from '@sealpost/smime';
import { temporaryDirectory } from '@sealpost/testkit';
import { kekRotate } from '../src/acts/kek-rotate.ts';
import { keyDestroy } from '../src/acts/key-destroy.ts';
import { keyExport } from '../src/acts/key-export.ts';
import { addIdentity } from '../src/authority/tenant-authority.ts';
import { moveKey, self } from '../src/lifecycle/move-key.ts';
import type { OpenStore } from '../src/open-store.ts';
import type { Call } from '../src/operations/operation.ts';
import type { StoredKey } from '../src/store/key-store.ts';
import { makePrivateKey } from '../src/store/make-key.ts';
import { openedStore } from './opened-store.ts';

const alpha = tenantId('alpha');
const address = 'alice@alpha.test';
const dayMs = 86_400_000;
const isFault = (code: string) => (error: unknown) => error instanceof KeyFault && error.code === code;

function callOn(store: OpenStore): Call {
  const caller = { role: 'key-admin', name: 'k', fingerprint: 'f' } as const;
  return { caller, store, tenants: [], installation: 'gateway', now: store.now(), note: () => undefined };
}

async function alice(store: OpenStore): Promise<(use: KeyUse) => Promise<StoredKey>> {
  const names = { tenant: alpha, address, commonName: 'Alice' };
  await addIdentity({ ...names, algorithm: 'p-256', decryptionAlgorithm: 'p-256', single: false }, store);
  return async (use) => {
    const [key] = await store.keys.versions(alpha, address, use);
    assert.ok(key);
    return key;
  };
}

async function spool(store: OpenStore): Promise<StoredKey> {
  const privateKey = await makePrivateKey('x25519');
  return await store.keys.add({ tenant: alpha, identity: 'stage.crypto', use: 'spool', privateKey });
}

/** Executes the act as the service does: what may not be is refused before. */
async function destroy(store: OpenStore, params: Parameters<typeof keyDestroy.run>[0]): Promise<unknown> {
  const call = callOn(store);
  await keyDestroy.check?.(keyDestroy.form.parse(params), call);
  return await keyDestroy.run(params, call);
}

for (const [kind, request] of [
  ['RSA', ['-newkey', 'rsa:2048']],
  ['P-256', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']],
] as const) {
  test(`an exported key comes out at the ${kind} recipient with OpenSSL, and in the object there is none in clear`, async () => {
    await using opened = await openedStore();
    await using directory = await temporaryDirectory();
    const at = (name: string): string => join(directory.path, name);
    const openssl = (...args: readonly string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
    const subject = ['-subj', '/CN=Escrow', '-nodes', '-days', '2'];
    const usage = ['-addext', 'keyUsage=critical,keyEncipherment,keyAgreement'];
    openssl('req', '-x509', ...request, ...subject, ...usage, '-keyout', at('key'), '-out', at('crt'));
    // The certificate is younger than this clock.
    opened.pass(60_000);
    const store = opened.store();
    const key = await (await alice(store))('decryption');
    const recipient = parseCertificate(readFileSync(at('crt'))).der.toString('base64');
    const params = { keyId: key.keyId, recipient };
    await keyExport.check?.(params, callOn(store));
    const { cms } = (await keyExport.run(params, callOn(store))) as { cms: string };
    writeFileSync(at('cms'), Buffer.from(cms, 'base64'));
    openssl(
      'cms',
      '-decrypt',
      '-inform',
      'DER',
      '-in',
      at('cms'),
      '-recip',
      at('crt'),
      '-inkey',
      at('key'),
      '-out',
      at('out'),
    );
    const exported = createPrivateKey({ key: readFileSync(at('out')), format: 'der', type: 'pkcs8' });
    assert.ok(createPublicKey(exported).export({ format: 'der', type: 'spki' }).equals(key.spki));
    const plain = store.keys.withSecret(key, (secret) => Buffer.from(secret));
    assert.equal(Buffer.from(cms, 'base64').includes(plain.subarray(-100, -68)), false);
  });
}

test('no key of the gateway, of an authority, or that is destroyed is exported, and none to a certificate that cannot read it', async () => {
  await using opened = await openedStore();
  const store = opened.store();
  const keyOf = await alice(store);
  const [signing, decryption] = [await keyOf('signing'), await keyOf('decryption')];
  const certificates = await store.certificates.ofAddress(alpha, address);
  const [record] = certificates.filter(({ keyId }) => keyId === decryption.keyId);
  const [signer] = certificates.filter(({ keyId }) => keyId === signing.keyId);
  assert.ok(record && signer);
  const recipient = record.certificate.toString('base64');
  const check = async (keyId: string, to = recipient): Promise<void> =>
    await keyExport.check?.({ keyId, recipient: to }, callOn(store));
  await check(signing.keyId);
  for (const { keyId } of [await spool(store), ...(await store.keys.versions(alpha, 'ca.internal', 'ca'))]) {
    await assert.rejects(check(keyId), isFault('not-found'), keyId);
  }
  await assert.rejects(check('alpha/nobody%40alpha.test/signing/1'), isFault('not-found'));
  const bad = [signer.certificate.toString('base64'), Buffer.from('no certificate').toString('base64')];
  for (const to of bad) await assert.rejects(check(signing.keyId, to), isFault('recipient-unusable'));
  opened.pass(731 * dayMs);
  await assert.rejects(check(signing.keyId), isFault('recipient-unusable'), 'ended');
});

test('a destruction waits for the window of the policy; a key in use is not destroyed, nor one whose mail must stay readable', async () => {
  await using opened = await openedStore();
  const store = opened.store();
  const keyOf = await alice(store);
  const signing = await keyOf('signing');
  await assert.rejects(destroy(store, { keyId: signing.keyId }), isFault('key-state'));
  await moveKey(signing, 'deactivate', store, self);
  const { destroyAt } = (await destroy(store, { keyId: signing.keyId })) as { destroyAt: string };
  const days = (new Date(destroyAt).getTime() - store.now().getTime()) / dayMs;
  assert.equal(days, store.policy().destroyWindowDays);
  assert.ok(days >= 7);

  const { keyId } = await moveKey(await keyOf('decryption'), 'deactivate', store, self);
  await assert.rejects(destroy(store, { keyId }), isFault('key-retained'));
  opened.pass((730 + store.policy().retentionDays + 1) * dayMs);
  await destroy(store, { keyId });
  assert.equal((await keyOf('decryption')).state, 'destroy-pending');
});

test('a spool key: a newer one took over long ago, and somebody looked just now and found nothing; each missing, it stays', async () => {
  await using opened = await openedStore();
  const first = await spool(opened.store());
  const nothing = () => ({ scannedAt: opened.store().now().toISOString(), blobs: 9, unread: 0, keys: [] as string[] });
  const tryIt = (spoolStatement?: ReturnType<typeof nothing>): Promise<unknown> =>
    destroy(opened.store(), { keyId: first.keyId, ...(spoolStatement ? { spool: spoolStatement } : {}) });
  const second = await spool(opened.store());
  await moveKey(first, 'deactivate', opened.store(), self);
  await assert.rejects(tryIt(nothing()), isFault('key-in-use'), 'a newer one since a moment');
  opened.pass(opened.store().limits.ticketLifeMs + 11 * 3_600_000);
  await assert.rejects(tryIt(nothing()), isFault('key-in-use'), 'a stage may still know the old one');
  const old = nothing();
  opened.pass(25 * 3_600_000);
  await assert.rejects(tryIt(), isFault('key-in-use'), 'nobody looked');
  await assert.rejects(tryIt(old), isFault('key-in-use'), 'somebody looked yesterday');
  await assert.rejects(tryIt({ ...nothing(), keys: [second.keyId, first.keyId] }), isFault('key-in-use'), 'found');
  await assert.rejects(tryIt({ ...nothing(), unread: 1 }), isFault('key-in-use'), 'a piece that does not tell');
  await assert.rejects(
    tryIt({ ...nothing(), scannedAt: new Date(opened.store().now().getTime() + dayMs).toISOString() }),
    isFault('key-in-use'),
    'a look in the future',
  );
  await tryIt({ ...nothing(), keys: [second.keyId] });
  assert.equal((await opened.store().keys.get(first.keyId))?.state, 'destroy-pending');
});

test('a KEK is replaced by the act, once at a time', async () => {
  await using opened = await openedStore();
  const store = opened.store();
  assert.deepEqual(await kekRotate.run({ use: 'ca' }, callOn(store)), { use: 'ca', version: 2 });
  assert.throws(() => kekRotate.check?.({ use: 'ca' }, callOn(store)), isFault('key-state'));
  assert.throws(() => kekRotate.check?.({ use: 'index' }, callOn(store)), isFault('key-state'));
  const told = (await opened.log()).find(({ operation }) => operation === 'kek-added');
  assert.deepEqual([told?.actor.name, told?.key], ['k', 'kek/ca/2']);
});
