// The stages' client against a real service: what it keeps in memory, and what it does while the service is away or sealed.

import assert from 'node:assert/strict';

import { after, before, test } from 'node:test';
import { codeOf, type KeyId, openBytes, sealBytes, tenantId, ticketVerifier } from '@sealpost/core';
import { type RunningKeyService, runKeyService, ticketFor } from './running-key-service.ts';

const alpha = tenantId('alpha');
const beta = tenantId('beta');
const alice = 'alpha/alice%40alpha.test/signing/1' as KeyId;

const isCode = (code: string) => (error: unknown) => codeOf(error) === code;

let service: RunningKeyService;

before(async () => {
  service = await runKeyService();
  await service.call('operator').call('identity-add', { address: 'alice@alpha.test', algorithm: 'p-256' });
});

after(() => service[Symbol.asyncDispose]());

test('what one stage seals the next one opens, and its tickets are believed', async () => {
  const ingress = service.as('ingress');
  const worker = service.as('crypto-worker');
  const { keyId, publicKey } = await ingress.spoolPublicKey(alpha, 'crypto');
  const context = { keyId, tenant: alpha, id: 'm', stage: 'crypto' } as const;
  const sealed = sealBytes([Buffer.from('mail')], context, publicKey);
  assert.equal(openBytes(sealed, context, await worker.spoolPrivateKey(keyId)).toString(), 'mail');

  const signer = await ingress.ticketSigner();
  assert.equal(await ingress.ticketSigner(), signer);
  const { ticket, id } = ticketFor(signer);
  const verifier = ticketVerifier(await worker.ticketAuthorities(), 60_000);
  assert.equal(verifier.verify(ticket, { kind: 'crypto', tenant: alpha, id }, new Date()).direction, 'outbound');
});

test('calls that a role may not make are denied', async () => {
  const ingress = service.as('ingress');
  const { ticket, envelope } = ticketFor(await ingress.ticketSigner());
  await assert.rejects(ingress.lease(alice, { ticket, envelope }), isCode('key-denied'));
  await assert.rejects(ingress.spoolPrivateKey('alpha/stage.crypto/spool/1' as KeyId), isCode('key-denied'));
  await assert.rejects(service.as('crypto-worker').markerKeys(alpha), isCode('key-denied'));
  await assert.rejects(service.as('egress').certificates(alpha, 'alice@alpha.test'), isCode('key-denied'));
});

test("a leased key in memory is for its owner's mail only", async () => {
  const worker = service.as('crypto-worker', 'owner');
  const signer = await service.as('ingress').ticketSigner();
  const own = ticketFor(signer);
  const lease = await worker.lease(alice, own);
  assert.equal(await worker.lease(alice, ticketFor(signer)), lease);
  await assert.rejects(worker.lease(alice, ticketFor(signer, { from: 'mallory@alpha.test' })), isCode('key-denied'));
});

test('mail that needs no user key flows while the service is away; what needs one, or was never asked, waits', async () => {
  const ingress = service.as('ingress', 'away');
  const worker = service.as('crypto-worker', 'away');
  const egress = service.as('egress', 'away');
  const signer = await ingress.ticketSigner();
  const { keyId } = await ingress.spoolPublicKey(alpha, 'crypto');
  const key = await worker.spoolPrivateKey(keyId);
  const authorities = await worker.ticketAuthorities();
  const markers = await egress.markerKeys(alpha);
  const known = await worker.certificates(alpha, 'Alice@alpha.test');
  const anchors = await worker.trustAnchors(alpha);
  assert.equal(known.length, 2);
  assert.equal(anchors.length, 1);
  const { ticket, envelope } = ticketFor(signer);

  await service.end('SIGKILL');
  assert.equal(await ingress.ticketSigner(), signer);
  assert.equal((await ingress.spoolPublicKey(alpha, 'crypto')).keyId, keyId);
  assert.equal(await worker.spoolPrivateKey(keyId), key);
  assert.equal(await worker.ticketAuthorities(), authorities);
  assert.equal(await egress.markerKeys(alpha), markers);
  assert.equal(await worker.certificates(alpha, 'alice@ALPHA.test'), known);
  assert.equal(await worker.trustAnchors(alpha), anchors);
  await assert.rejects(worker.lease(alice, { ticket, envelope }), isCode('key-service-unavailable'));
  await assert.rejects(ingress.spoolPublicKey(beta, 'crypto'), isCode('key-service-unavailable'));
  await assert.rejects(worker.certificates(alpha, 'new@alpha.test'), isCode('key-service-unavailable'));

  await service.start();
  assert.equal((await ingress.spoolPublicKey(beta, 'crypto')).keyId, 'beta/stage.crypto/spool/1');
  assert.equal((await worker.lease(alice, { ticket, envelope })).keyId, alice);
});

test('a sealed service says so to those who need a key, and only to them', async () => {
  const worker = service.as('crypto-worker', 'sealed');
  const { keyId } = await service.as('ingress').spoolPublicKey(alpha, 'crypto');
  const key = await worker.spoolPrivateKey(keyId);
  const { ticket, envelope } = ticketFor(await service.as('ingress').ticketSigner());
  await service.call('operator').call('seal', {});
  await assert.rejects(worker.lease(alice, { ticket, envelope }), isCode('key-service-sealed'));
  assert.equal(await worker.spoolPrivateKey(keyId), key);
  await service.end();
  await service.start();
  assert.equal((await worker.lease(alice, { ticket, envelope })).keyId, alice);
});

test('an identity that was added is found within the life of the empty answer', async () => {
  const worker = service.as('crypto-worker', 'negative');
  assert.deepEqual(await worker.certificates(beta, 'bob@beta.test'), []);
  await service.call('operator').call('identity-add', { address: 'bob@beta.test', algorithm: 'p-256' });
  assert.deepEqual(await worker.certificates(beta, 'bob@beta.test'), []);
  assert.equal((await service.as('crypto-worker', 'fresh').certificates(beta, 'bob@beta.test')).length, 2);
});
