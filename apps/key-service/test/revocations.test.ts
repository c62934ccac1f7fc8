// Leases called back: told at once to whoever holds the key, acknowledged, and a worker that keeps quiet is cut off. Over real TLS,
// with the stages' own client as the worker that behaves and bare requests as the one that does not.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, encodeEnvelope, type KeyId, type TicketSigner } from '@sealpost/core';
import { ephemeralBytes, findActs, type KeyConnection, KeyFault } from '@sealpost/service';
import { type RunningKeyService, runKeyService, ticketFor } from './running-key-service.ts';

const alice = 'alpha/alice%40alpha.test/signing/1' as KeyId;
const carol = 'alpha/carol%40alpha.test/signing/1' as KeyId;

let service: RunningKeyService;
let operator: KeyConnection;
let signer: TicketSigner;

before(async () => {
  service = await runKeyService({ keyServer: { leases: { acknowledgeSeconds: 1 } } });
  operator = service.call('operator');
  for (const address of ['alice@alpha.test', 'carol@alpha.test']) {
    await operator.call('identity-add', { address, algorithm: 'p-256' });
  }
  signer = await service.as('ingress').ticketSigner();
});
after(() => service[Symbol.asyncDispose]());

/** A lease for a process that only asks. `ok`, or the code of the refusal. */
async function lease(instance: string, keyId = alice, from = 'alice@alpha.test'): Promise<string> {
  const { ticket, envelope } = ticketFor(signer, { from });
  const ephemeral = ephemeralBytes(generateKeyPairSync('x25519').publicKey);
  const request = { instance, keyId, ephemeral, ticket, envelope: encodeEnvelope(envelope) };
  try {
    await service.call('crypto-worker').call('lease', request);
    return 'ok';
  } catch (error) {
    return error instanceof KeyFault ? error.code : codeOf(error);
  }
}

async function until(isSo: () => Promise<boolean>, what: string, ms = 5_000): Promise<void> {
  for (const deadline = performance.now() + ms; !(await isSo()); await sleep(20)) {
    if (performance.now() > deadline) assert.fail(what);
  }
}

const awaited = async (): Promise<number> =>
  (await operator.call('lease-list', {})).revoked.reduce((sum, each) => sum + each.awaited.length, 0);

test('a worker drops a key that is called back at once, says so, and keeps the others', async () => {
  const worker = service.as('crypto-worker', 'good');
  const held = await worker.lease(alice, ticketFor(signer));
  const other = await worker.lease(carol, ticketFor(signer, { from: 'carol@alpha.test' }));
  assert.equal(await worker.lease(alice, ticketFor(signer)), held);
  const { held: before } = await operator.call('lease-list', {});
  assert.deepEqual(before, [{ name: 'default', instance: 'good', leases: 2 }]);

  const { holders } = await operator.call('lease-revoke', { keyId: alice });
  assert.deepEqual(holders, [{ name: 'default', instance: 'good' }]);
  await until(async () => (await awaited()) === 0, 'not acknowledged');
  assert.notEqual(await worker.lease(alice, ticketFor(signer)), held);
  assert.equal(await worker.lease(carol, ticketFor(signer, { from: 'carol@alpha.test' })), other);

  await operator.call('lease-revoke', { worker: 'good' });
  await until(async () => (await awaited()) === 0, 'not acknowledged');
  assert.notEqual(await worker.lease(carol, ticketFor(signer, { from: 'carol@alpha.test' })), other);
  await worker.close();
  assert.deepEqual((await operator.call('lease-list', {})).held, []);

  const { acts } = await findActs(service.config.keyServer.audit.file, { worker: 'good' });
  const done = acts.map(({ operation, result }) => `${operation} ${result}`);
  for (const act of ['lease-revoke ok', 'revocation-acknowledge ok', 'lease-return ok'])
    assert.ok(done.includes(act), act);
});

test('a worker that does not say that the key is gone gets no key until it does', async () => {
  assert.equal(await lease('quiet'), 'ok');
  await operator.call('lease-revoke', { keyId: alice });
  const { ticket, envelope } = ticketFor(signer);
  const inPlace = () =>
    service
      .as('crypto-worker', 'quiet')
      .sign(alice, { ticket, envelope }, [
        { certificate: '0'.repeat(64) as never, scheme: 'ecdsa', digest: 'sha256', signedAttributes: Buffer.alloc(1) },
      ]);
  await assert.rejects(inPlace(), (error) => codeOf(error) === 'key-denied');
  await until(async () => (await lease('quiet')) === 'lease-overloaded', 'not cut off');
  // Another name does not help: the certificate counts.
  assert.equal(await lease('renamed'), 'lease-overloaded');
  await assert.rejects(inPlace(), (error) => codeOf(error) === 'lease-overloaded');
  const cutOff = async (): Promise<boolean> =>
    (await findActs(service.config.keyServer.audit.file, { operation: 'worker-cut-off' })).acts.length === 1;
  await until(cutOff, 'not on record');
  assert.match(service.output(), /"event":"lease\.kept"/);

  const connection = service.call('crypto-worker');
  const { revocations } = await connection.call('revocations', { instance: 'quiet' });
  assert.ok(revocations.some(({ keyId }) => keyId === alice));
  const ids = revocations.map(({ id }) => id);
  // What another process acknowledges is not this one's word.
  await connection.call('revocation-acknowledge', { instance: 'other', ids });
  assert.equal(await lease('quiet'), 'lease-overloaded');
  await connection.call('revocation-acknowledge', { instance: 'quiet', ids });
  assert.equal(await lease('quiet'), 'ok');
  await connection.call('lease-return', { instance: 'quiet' });
});

test('a restart forgets no revocation and nobody who has to answer', async () => {
  assert.equal(await lease('forgetful'), 'ok');
  await operator.call('lease-revoke', { keyId: alice });
  await service.end('SIGKILL');
  await service.start();
  const { revocations } = await service.call('crypto-worker').call('revocations', { instance: 'forgetful' });
  assert.ok(revocations.some(({ keyId }) => keyId === alice));
  await until(async () => (await lease('forgetful')) === 'lease-overloaded', 'not cut off');
  await service.call('crypto-worker').call('lease-return', { instance: 'forgetful' });
  await until(async () => (await lease('forgetful')) === 'ok', 'not let in again');
});

test('a revocation names one key or one worker, and acknowledgements have a form', async () => {
  const malformed = (error: unknown): boolean => error instanceof KeyFault && error.code === 'request-malformed';
  await assert.rejects(operator.call('lease-revoke', {}), malformed);
  await assert.rejects(operator.call('lease-revoke', { keyId: alice, worker: 'w' }), malformed);
  await assert.rejects(operator.call('lease-revoke', { keyId: 'not a key' }), malformed);
  await assert.rejects(operator.call('lease-revoke', { worker: 'a b' }), malformed);
  const worker = service.call('crypto-worker');
  for (const ids of [[], ['x'], Array.from({ length: 1_025 }, () => crypto.randomUUID())]) {
    await assert.rejects(worker.call('revocation-acknowledge', { instance: 'w', ids }), malformed);
  }
  assert.deepEqual((await operator.call('lease-revoke', { worker: 'nobody' })).holders, []);
});
