// The ledger: what was queued and is gone without having come to its end is told; everything else never is.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Clock, fail, type Outcome, type QueuedJob } from '@sealpost/core';
import { cryptoStage, deliveryStage, memoryBlobs, type RedisLink, redisLedger, redisQuarantine } from '../src/index.ts';
import { linkTo, redisServer, until } from './fixtures.ts';
import { consumeOptions, cryptoJobs, deliveryJobs } from './stage.contract.ts';

const minuteMs = 60_000;
const start = Date.now();
const later = new Date(start + minuteMs);

/** Two audits with time between, as a running installation makes them. */
async function audited(link: RedisLink): Promise<readonly string[]> {
  const ledger = redisLedger(link);
  for (const at of [new Date(start), later])
    for (const stage of ['crypto', 'delivery'] as const) await ledger.audit(stage, at);
  return (await ledger.missing(later)).map(({ id }) => id);
}

/** What a fault, or somebody with access, does to a job. */
async function lose({ client }: RedisLink, stage: string, { id }: QueuedJob): Promise<void> {
  await client.lrem(`{sealpost}:${stage}:wait`, 0, id);
  await client.del(`{sealpost}:${stage}:${id}`);
}

test('a job that is gone without its end is missing, with stage and tenant, until an operator sees to it', async () => {
  await using stack = new AsyncDisposableStack();
  const link = await linkTo(stack, await redisServer(stack));
  const [message, delivery] = [cryptoJobs.make(), deliveryJobs.make()];
  await cryptoStage(link).publisher().publish([message, cryptoJobs.make()]);
  await deliveryStage(link).publisher().publish([delivery, deliveryJobs.make()]);
  assert.deepEqual(await audited(link), []);

  await lose(link, 'crypto', message);
  await lose(link, 'delivery', delivery);
  assert.deepEqual(await audited(link), [message.id, delivery.id]);
  const ledger = redisLedger(link);
  assert.deepEqual(await ledger.missing(later), [
    { stage: 'crypto', id: message.id, tenant: 'alpha' },
    { stage: 'delivery', id: delivery.id, tenant: 'alpha' },
  ]);

  assert.deepEqual([await ledger.forget(message.id), await ledger.forget(message.id)], [true, false]);
  assert.deepEqual(await audited(link), [delivery.id]);
  // Put back by hand.
  await deliveryStage(link).publisher().publish([delivery]);
  assert.deepEqual(await audited(link), []);
});

test('one look is not enough: a job that was entered and is not queued yet is not missing', async () => {
  await using stack = new AsyncDisposableStack();
  const link = await linkTo(stack, await redisServer(stack));
  const ledger = redisLedger(link);
  const job = cryptoJobs.make();
  await ledger.enter('crypto', [job]);
  await ledger.audit('crypto', new Date(start));
  assert.deepEqual(await ledger.missing(new Date(start + 1_000)), []);
  await cryptoStage(link).publisher().publish([job]);
  assert.deepEqual(await ledger.missing(later), [], 'before the next audit');
  assert.deepEqual(await audited(link), []);
});

test('what comes to its end is struck: done, set aside and expired, tried again, released', async () => {
  await using stack = new AsyncDisposableStack();
  const link = await linkTo(stack, await redisServer(stack));
  const [done, aside, again] = [cryptoJobs.make(), cryptoJobs.make(), cryptoJobs.make()];
  let tries = 0;
  const consumer = cryptoStage(link).consume(async (job): Promise<Outcome<typeof done>> => {
    if (job.id === aside.id) throw fail('protection-failed');
    if (job.id === again.id && ++tries === 1) return { kind: 'later', at: new Date(), code: 'next-hop-incapable', job };
    return { kind: 'done' };
  }, consumeOptions());
  stack.adopt(consumer, (made) => made.close(1_000));
  await cryptoStage(link).publisher().publish([done, aside, again]);
  const quarantine = redisQuarantine(link, memoryBlobs());
  await until(async () => (await quarantine.get(aside.id)) !== undefined);
  await until(async () => (await link.client.hlen('{sealpost}:ledger:crypto')) === 1);
  assert.deepEqual(await audited(link), [], 'what is set aside is not missing');

  const ended = await quarantine.expire(new Date(Date.now() + 40 * 86_400_000));
  assert.equal(ended.length, 1);
  assert.equal(await link.client.hlen('{sealpost}:ledger:crypto'), 0);
});

test('a running consumer audits by itself', async () => {
  await using stack = new AsyncDisposableStack();
  const link = await linkTo(stack, await redisServer(stack));
  const job = cryptoJobs.make();
  await cryptoStage(link).publisher().publish([job]);
  await lose(link, 'crypto', job);
  // Each look at the clock is a minute later.
  let now = start;
  const clock: Clock = {
    now() {
      now += minuteMs;
      return new Date(now);
    },
  };
  const timing = { lockMs: 1_000, stalledCheckMs: 300, reconcileMs: 50, ledgerMs: 50 };
  const consumer = cryptoStage(link).consume(async () => ({ kind: 'done' }), consumeOptions({ clock, timing }));
  stack.adopt(consumer, (made) => made.close(1_000));
  await until(async () => (await redisLedger(link).missing(new Date(now))).length === 1);
});

test('a job that could not be queued leaves no entry', async () => {
  await using stack = new AsyncDisposableStack();
  const link = await linkTo(stack, await redisServer(stack));
  const [first, second] = [cryptoJobs.make(), cryptoJobs.make()];
  await cryptoStage(link).publisher().publish([first]);
  // BullMQ's script stumbles over a settings hash that is none.
  await link.client.rename('{sealpost}:crypto:meta', 'elsewhere');
  await link.client.set('{sealpost}:crypto:meta', 'no hash');
  await assert.rejects(cryptoStage(link).publisher().publish([second]), { code: 'queue-unavailable' });
  await link.client.rename('elsewhere', '{sealpost}:crypto:meta');
  await until(async () => (await link.client.hlen('{sealpost}:ledger:crypto')) === 1);
  assert.deepEqual(await audited(link), []);
});

test('ten thousand waiting jobs are audited, and what somebody else wrote does no harm', async () => {
  await using stack = new AsyncDisposableStack();
  const link = await linkTo(stack, await redisServer(stack));
  const jobs = Array.from({ length: 10_000 }, () => cryptoJobs.make());
  await cryptoStage(link).publisher().publish(jobs);
  await link.client.hset('{sealpost}:ledger:crypto:missing', 'garbage', 'no time');
  await link.client.hset('{sealpost}:ledger:delivery', '../../etc', '<tenant>');
  assert.deepEqual(await audited(link), ['../../etc']);
});
