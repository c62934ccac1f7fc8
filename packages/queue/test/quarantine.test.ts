// The quarantine: capped, listed, given back, and ended with its bytes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CryptoJob, fail, type Outcome, type Quarantine } from '@sealpost/core';
import { manualClock } from '@sealpost/testkit';
import {
  cryptoStage,
  deliveryStage,
  memoryBlobs,
  type RedisLink,
  redisQuarantine,
  type SpoolBlobs,
} from '../src/index.ts';
import { linkTo, recorder, redisServer, until } from './fixtures.ts';
import { consumeOptions, cryptoJobs, deliveryJobs } from './stage.contract.ts';

const dayMs = 86_400_000;
const aside = async (): Promise<Outcome<never>> => ({ kind: 'quarantine', code: 'protection-failed' });

interface Ward {
  readonly link: RedisLink;
  readonly blobs: SpoolBlobs;
  readonly quarantine: Quarantine;
}

async function ward(stack: AsyncDisposableStack): Promise<Ward> {
  const link = await linkTo(stack, await redisServer(stack));
  const blobs = memoryBlobs();
  return { link, blobs, quarantine: redisQuarantine(link, blobs) };
}

async function store(blobs: SpoolBlobs, count: number, bytes: number): Promise<CryptoJob[]> {
  const jobs = Array.from({ length: count }, () => cryptoJobs.make());
  for (const { id } of jobs) {
    await blobs.put(id, Buffer.alloc(bytes));
    await blobs.put(`plan-${id}`, Buffer.alloc(10));
  }
  return jobs;
}

test('lists entries of both stages with their reason, size and end', async () => {
  await using stack = new AsyncDisposableStack();
  const { link, blobs, quarantine } = await ward(stack);
  const [crypto, delivery] = [cryptoJobs.make(), deliveryJobs.make()];
  await blobs.put(crypto.id, Buffer.alloc(1_234));
  await cryptoStage(link).publisher().publish([crypto]);
  await deliveryStage(link).publisher().publish([delivery]);
  const clock = manualClock(new Date());
  stack.adopt(cryptoStage(link).consume(aside, consumeOptions({ blobs, clock })), (made) => made.close(1_000));
  stack.adopt(deliveryStage(link).consume(aside, consumeOptions({ blobs, clock })), (made) => made.close(1_000));
  await until(async () => (await quarantine.list(10)).length === 2);

  const entry = await quarantine.get(crypto.id);
  const [since, until_] = [clock.now(), new Date(clock.now().getTime() + 30 * dayMs)];
  const common = { code: 'protection-failed', tenant: 'alpha', since, until: until_ };
  assert.deepEqual(entry, { ...common, id: crypto.id, stage: 'crypto', bytes: 1_234 });
  assert.deepEqual(await quarantine.get(delivery.id), { ...common, id: delivery.id, stage: 'delivery', bytes: 0 });
  assert.equal((await quarantine.list(1)).length, 1);
  assert.equal(await quarantine.get(cryptoJobs.make().id), undefined);
  assert.equal((await quarantine.ticket(crypto.id))?.toString(), 'ticket');
  assert.equal(await quarantine.ticket(cryptoJobs.make().id), undefined);
});

test('gives a job back with the release ticket, once, and its place is free again', async () => {
  await using stack = new AsyncDisposableStack();
  const { link, blobs, quarantine } = await ward(stack);
  const [job] = await store(blobs, 1, 100);
  assert.ok(job);
  await cryptoStage(link).publisher().publish([job]);
  const got: CryptoJob[] = [];
  const handle = async (received: CryptoJob): Promise<Outcome<CryptoJob>> => {
    got.push(received);
    return received.release ? { kind: 'done' } : aside();
  };
  stack.adopt(cryptoStage(link).consume(handle, consumeOptions({ blobs })), (made) => made.close(1_000));
  await until(async () => (await quarantine.list(10)).length === 1 && (await failed(link)) === 1);
  const answers = await Promise.all([
    quarantine.requeue(job.id, 'cmVsZWFzZQ'),
    quarantine.requeue(job.id, 'cmVsZWFzZQ'),
  ]);
  assert.deepEqual(answers.filter(Boolean).length, 1);
  await until(() => got.length === 2);
  assert.deepEqual(got, [job, { ...job, release: 'cmVsZWFzZQ' }]);
  await until(async () => (await quarantine.list(10)).length === 0);
  assert.equal(await bytesInQuarantine(link), 0);
  assert.equal(await quarantine.requeue(job.id), false);
});

test('keeps what a handler says that a release puts back', async () => {
  await using stack = new AsyncDisposableStack();
  const { link, blobs, quarantine } = await ward(stack);
  const job = deliveryJobs.make();
  const settled = deliveryJobs.changed(job, 3);
  await deliveryStage(link).publisher().publish([job]);
  const got: unknown[] = [];
  const consumer = deliveryStage(link).consume(async (received) => {
    got.push(received);
    return got.length > 1 ? { kind: 'done' } : { kind: 'quarantine', code: 'bounce-undeliverable', job: settled };
  }, consumeOptions({ blobs }));
  stack.adopt(consumer, (made) => made.close(1_000));
  await until(async () => (await deliveryStage(link).status(new Date())).failed === 1);
  assert.equal(await quarantine.requeue(job.id), true);
  await until(() => got.length === 2);
  assert.deepEqual(got, [job, settled]);
});

test('takes no more than its number, however many ask at once; the others wait as jobs and somebody is alerted', async () => {
  await using stack = new AsyncDisposableStack();
  const { link, blobs, quarantine } = await ward(stack);
  const jobs = await store(blobs, 40, 100);
  const log = recorder();
  const queue = { maxAgeHours: 120, quarantine: { days: 30, maxMessages: 7, maxBytes: 1_000_000 } };
  const options = consumeOptions<CryptoJob>({ blobs, log, queue, concurrency: 20 });
  for (let index = 0; index < 2; index += 1) {
    stack.adopt(cryptoStage(link).consume(aside, options), (made) => made.close(1_000));
  }
  await cryptoStage(link).publisher().publish(jobs);
  await until(async () => (await cryptoStage(link).status(new Date())).delayed === 33);
  assert.equal((await quarantine.list(100)).length, 7);
  assert.equal(await failed(link), 7);
  assert.ok(log.names().includes('alert.quarantine-full'));
});

test('takes no more than its bytes', async () => {
  await using stack = new AsyncDisposableStack();
  const { link, blobs, quarantine } = await ward(stack);
  const jobs = await store(blobs, 10, 300);
  const queue = { maxAgeHours: 120, quarantine: { days: 30, maxMessages: 100, maxBytes: 1_000 } };
  const consumer = cryptoStage(link).consume(aside, consumeOptions({ blobs, queue, concurrency: 10 }));
  stack.adopt(consumer, (made) => made.close(1_000));
  await cryptoStage(link).publisher().publish(jobs);
  await until(async () => (await cryptoStage(link).status(new Date())).delayed === 7);
  assert.equal((await quarantine.list(100)).length, 3);
  assert.equal(await bytesInQuarantine(link), 900);
});

test('ends what is over with its job, its bytes and its plan, and nothing else', async () => {
  await using stack = new AsyncDisposableStack();
  const { link, blobs, quarantine } = await ward(stack);
  const [job, other] = await store(blobs, 2, 100);
  assert.ok(job && other);
  await cryptoStage(link).publisher().publish([job]);
  const consumer = cryptoStage(link).consume(aside, consumeOptions({ blobs }));
  await until(async () => (await failed(link)) === 1);
  await consumer.close(1_000);
  const inDays = (days: number): Date => new Date(Date.now() + days * dayMs);
  assert.deepEqual(await quarantine.expire(inDays(29)), []);
  assert.deepEqual(
    (await quarantine.expire(inDays(31))).map(({ id }) => id),
    [job.id],
  );
  assert.equal(await blobs.get(job.id), undefined);
  assert.equal(await blobs.get(`plan-${job.id}`), undefined);
  assert.ok(await blobs.get(other.id));
  assert.equal(await cryptoStage(link).publisher().has(job.id), false);
  assert.deepEqual(await quarantine.list(10), []);
  assert.equal(await bytesInQuarantine(link), 0);
});

test('a job given back while its time ends keeps its bytes', async () => {
  await using stack = new AsyncDisposableStack();
  const { link, blobs, quarantine } = await ward(stack);
  const jobs = await store(blobs, 20, 100);
  const stage = cryptoStage(link);
  await stage.publisher().publish(jobs);
  const consumer = stage.consume(aside, consumeOptions({ blobs, concurrency: 20 }));
  await until(async () => (await failed(link)) === 20);
  await consumer.close(1_000);
  const given = Promise.all(jobs.map(({ id }) => quarantine.requeue(id)));
  const ended = (await quarantine.expire(new Date(Date.now() + 31 * dayMs))).map(({ id }) => id);
  const answers = await given;
  for (const [index, { id }] of jobs.entries()) {
    assert.notEqual(answers[index], ended.includes(id), 'given back or ended, never both');
    assert.equal(await stage.publisher().has(id), answers[index]);
    assert.equal((await blobs.get(id)) !== undefined, answers[index]);
  }
});

test('nothing that an error carried is stored in Redis, only its code', async () => {
  await using stack = new AsyncDisposableStack();
  const { link, blobs } = await ward(stack);
  const job = cryptoJobs.make();
  await cryptoStage(link).publisher().publish([job]);
  const consumer = cryptoStage(link).consume(async () => {
    throw fail('message-malformed', new Error('Subject: secret of alice@alpha.test'));
  }, consumeOptions({ blobs }));
  stack.adopt(consumer, (made) => made.close(1_000));
  await until(async () => (await failed(link)) === 1);
  const stored = await link.client.hgetall(`{sealpost}:crypto:${job.id}`);
  assert.equal(stored.failedReason, 'message-malformed');
  assert.equal(stored.stacktrace, '[]');
  assert.equal(stored.returnvalue, undefined);
});

async function failed(link: RedisLink): Promise<number> {
  return (await cryptoStage(link).status(new Date())).failed;
}

async function bytesInQuarantine(link: RedisLink): Promise<number> {
  return Number(await link.client.get('{sealpost}:aside:bytes'));
}
