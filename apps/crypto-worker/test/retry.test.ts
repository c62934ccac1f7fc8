// Whatever moment a try dies at, the next one gives every recipient the same treatment, once.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { fail } from '@sealpost/core';
import { alpha, type Delivered, type Gateway, startGateway, usualPolicy } from './gateway.ts';

let gateway: Gateway;
before(async () => {
  gateway = await startGateway();
  gateway.keys.addIdentity(alpha, 'alice@alpha.test');
  gateway.keys.addPartner(alpha, 'bob@partner.test');
});
afterEach(() => gateway.stopWorker());
after(() => gateway[Symbol.asyncDispose]());

const message = 'From: alice@alpha.test\r\nTo: bob@partner.test, dora@else.test\r\n\r\nHello\r\n';
const mail = { direction: 'outbound', to: ['bob@partner.test', 'dora@else.test'], message } as const;

const shape = (deliveries: readonly Delivered[]): string[] =>
  deliveries.map(
    ({ envelope, message: bytes }) =>
      `${envelope.recipients.map(({ address }) => address).join()} ${bytes.includes('enveloped-data') ? 'encrypted' : 'signed'}`,
  );

/** Fails the first call, then works. */
function onceBroken<A extends readonly unknown[], R>(work: (...args: A) => Promise<R>): (...args: A) => Promise<R> {
  let broken = false;
  return async (...args) => {
    if (broken) return await work(...args);
    broken = true;
    throw fail('queue-unavailable');
  };
}

test('a crash between store and publish: the retry publishes what it stored itself, and every blob fits its ticket', async () => {
  const { deliveries } = gateway.worker;
  gateway.run({ deliveries: { ...deliveries, publish: onceBroken(deliveries.publish) } });
  const job = await gateway.prepare(mail);
  await gateway.publish(job);
  const end = await gateway.settled(job.id);
  assert.deepEqual(shape(end.deliveries), ['bob@partner.test encrypted', 'dora@else.test signed']);
});

test('a crash between publish and the mark: the retry leaves queued deliveries and their blobs as they are', async () => {
  const seen: string[][] = [];
  const hashes = (deliveries: readonly Delivered[]): string[] =>
    deliveries.map(({ ticket }) => ticket.blobHash.toString('hex'));
  const { marks } = gateway.worker;
  gateway.run({
    marks: {
      has: marks.has,
      async set(name, lifeMs) {
        seen.push(hashes(await gateway.deliveries(job.id)));
        if (seen.length === 1) throw fail('queue-unavailable');
        await marks.set(name, lifeMs);
      },
    },
  });
  const job = await gateway.prepare(mail);
  await gateway.publish(job);
  const { deliveries } = await gateway.settled(job.id);
  assert.equal(deliveries.length, 2);
  assert.equal(seen.length, 2);
  assert.deepEqual(seen[0], seen[1]);
  assert.deepEqual(seen[0], hashes(deliveries));
});

test('the plan stands although certificates and policy changed between the tries', async () => {
  const { deliveries } = gateway.worker;
  gateway.run({
    deliveries: {
      ...deliveries,
      publish: onceBroken(async (jobs) => {
        await deliveries.publish(jobs);
      }),
    },
    marks: {
      set: gateway.worker.marks.set,
      async has(name) {
        const found = await gateway.worker.marks.has(name);
        // Between load and decide of the second try.
        if (await gateway.blobs.get(`plan-${job.id}`)) {
          gateway.keys.addPartner(alpha, 'dora@else.test');
          gateway.policy = { ...usualPolicy, outbound: { ...usualPolicy.outbound, sign: 'never' } };
        }
        return found;
      },
    },
  });
  const job = await gateway.prepare(mail);
  await gateway.publish(job);
  const end = await gateway.settled(job.id);
  gateway.policy = usualPolicy;
  gateway.keys.forget(alpha, 'dora@else.test');
  assert.deepEqual(shape(end.deliveries), ['bob@partner.test encrypted', 'dora@else.test signed']);
});

test('a certificate of the plan that is gone sets its group aside; the others go', async () => {
  gateway.keys.addPartner(alpha, 'gone@partner.test');
  const { deliveries } = gateway.worker;
  gateway.run({
    deliveries: {
      ...deliveries,
      publish: onceBroken(deliveries.publish),
      async has(id) {
        gateway.keys.forget(alpha, 'gone@partner.test');
        return await deliveries.has(id);
      },
    },
  });
  const job = await gateway.prepare({ ...mail, to: ['bob@partner.test', 'gone@partner.test'] });
  await gateway.publish(job);
  const end = await gateway.settled(job.id);
  assert.equal(end.quarantined?.code, 'protection-failed');
  assert.deepEqual(shape(end.deliveries), ['bob@partner.test encrypted']);
});

test('a worker that lost its job while it worked neither stores nor publishes anything', async () => {
  const reached = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const { keys } = gateway.worker;
  let first = true;
  gateway.run({
    keys: {
      ...keys,
      async lease(keyId, justification) {
        if (first) {
          first = false;
          reached.resolve();
          await gate.promise;
        }
        return await keys.lease(keyId, justification);
      },
    },
  });
  const job = await gateway.prepare(mail);
  await gateway.publish(job);
  await reached.promise;
  await gateway.stopWorker();
  gateway.run();
  const { deliveries } = await gateway.settled(job.id);
  assert.equal(deliveries.length, 2);
  const before = await gateway.blobs.get(deliveries[0]?.id ?? '');
  gate.resolve();
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.deepEqual(await gateway.blobs.get(deliveries[0]?.id ?? ''), before);
  assert.equal((await gateway.deliveries(job.id)).length, 2);
});

test('the key service sealed or away: outbound mail waits and leaves protected; exempt mail flows', async () => {
  gateway.run();
  for (const state of ['sealed', 'away'] as const) {
    gateway.keys.state = state;
    const job = await gateway.prepare(mail);
    await gateway.publish(job);
    const [exempt] = await gateway.send({
      ...mail,
      message: message.replace('\r\n\r\n', '\r\nAuto-Submitted: auto-replied\r\n\r\n'),
    });
    assert.ok(exempt);
    assert.deepEqual(await gateway.deliveries(job.id), []);
    gateway.keys.state = 'open';
    assert.deepEqual(shape((await gateway.settled(job.id)).deliveries), [
      'bob@partner.test encrypted',
      'dora@else.test signed',
    ]);
  }
});
