// What somebody else wrote into Redis, and what BullMQ failed by itself: each job ends in work or in quarantine.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CryptoJob, newMessageId, type Outcome } from '@sealpost/core';
import { cryptoStage, memoryBlobs, type RedisLink, redisQuarantine } from '../src/index.ts';
import { linkTo, recorder, redisServer, until } from './fixtures.ts';
import { consumeOptions, cryptoJobs } from './stage.contract.ts';

const key = (name: string): string => `{sealpost}:crypto:${name}`;

/** Puts a hash into the stage as BullMQ would, but with anything in it. */
async function forge({ client }: RedisLink, id: string, hash: Record<string, string>): Promise<void> {
  if (Object.keys(hash).length > 0) await client.hset(key(id), hash);
  await client.lpush(key('wait'), id);
  await client.zadd(key('marker'), 0, '0');
}

test('every forged or broken job is set aside as malformed with an alert, and genuine ones go on', async () => {
  await using stack = new AsyncDisposableStack();
  const link = await linkTo(stack, await redisServer(stack));
  const good = cryptoJobs.make();
  const opts = '{}';
  const id = (): string => newMessageId(new Date());
  const forged: readonly [string, Record<string, string>][] = [
    [id(), {}],
    [id(), { opts, data: 'no json' }],
    [id(), { opts: 'no json', data: JSON.stringify(cryptoJobs.make()) }],
    [id(), { opts, data: 'null' }],
    [id(), { opts, data: '[]' }],
    [id(), { opts, data: '"text"' }],
    [id(), { opts, data: '{"v":1}' }],
    [id(), { opts, data: JSON.stringify({ ...good, v: 2 }) }],
    // Another message's job under this id: it would settle the wrong one.
    [id(), { opts, data: JSON.stringify(good) }],
    [id(), { opts, data: JSON.stringify({ ...good, tenant: '../etc' }) }],
    [id(), { opts, data: JSON.stringify({ ...good, ticket: 7 }) }],
    [id(), { opts, data: '['.repeat(100_000) }],
    ['1234', { opts, data: JSON.stringify(good) }],
    ['../../etc/passwd', { opts, data: '{"__proto__":{"v":1}}' }],
    ['a b\r\nc', { opts, data: '{}' }],
  ];
  for (const [name, hash] of forged) await forge(link, name, hash);
  await cryptoStage(link).publisher().publish([good]);
  const [log, got] = [recorder(), [] as CryptoJob[]];
  const consumer = cryptoStage(link).consume(async (job): Promise<Outcome<CryptoJob>> => {
    got.push(job);
    return { kind: 'done' };
  }, consumeOptions({ log }));
  stack.adopt(consumer, (made) => made.close(1_000));

  const quarantine = redisQuarantine(link, memoryBlobs());
  await until(async () => (await quarantine.list(100)).length === forged.length);
  assert.deepEqual(got, [good]);
  const entries = await quarantine.list(100);
  assert.deepEqual(new Set(entries.map(({ code }) => code)), new Set(['job-malformed']));
  assert.deepEqual(entries.map((entry) => entry.id).sort(), forged.map(([name]) => name).sort());
  assert.equal(log.names().filter((name) => name === 'alert.authenticity').length, forged.length);
  const { waiting, active, delayed, failed } = await cryptoStage(link).status(new Date());
  assert.deepEqual([waiting, active, delayed, failed], [0, 0, 0, forged.length]);
  for (const [name] of forged) assert.equal(await quarantine.requeue(name), false);
  assert.equal((await quarantine.expire(new Date(Date.now() + 40 * 86_400_000))).length, forged.length);
  assert.deepEqual(await quarantine.list(100), []);
});

test('an id that names one of the queue’s own keys is dropped, and stalled jobs are still taken over', async () => {
  await using stack = new AsyncDisposableStack();
  const link = await linkTo(stack, await redisServer(stack));
  const good = cryptoJobs.make();
  await cryptoStage(link).publisher().publish([good]);
  // A job whose worker died: active, and its lock ran out.
  await link.client.lmove(key('wait'), key('active'), 'RIGHT', 'LEFT');
  for (const name of ['wait', 'active', 'stalled', 'events', 'marker']) await forge(link, name, {});
  const [log, got] = [recorder(), [] as string[]];
  const consumer = cryptoStage(link).consume(async ({ id }) => {
    got.push(id);
    return { kind: 'done' };
  }, consumeOptions({ log }));
  stack.adopt(consumer, (made) => made.close(1_000));
  await until(() => got.length > 0, 15_000);
  assert.deepEqual(got, [good.id]);
  await until(async () => (await cryptoStage(link).status(new Date())).active === 0);
});

test('a job that failed for a reason that may pass goes back to work, one that cannot into quarantine', async () => {
  await using stack = new AsyncDisposableStack();
  const link = await linkTo(stack, await redisServer(stack));
  const reasons = ['queue-unavailable', 'anything BullMQ may say', 'ticket-invalid', 'recipient-without-certificate'];
  const jobs = reasons.map(() => cryptoJobs.make());
  for (const [index, job] of jobs.entries()) {
    const hash = { name: 'crypto', opts: '{}', data: JSON.stringify(job), failedReason: reasons[index] ?? '' };
    await link.client.hset(key(job.id), hash);
    await link.client.zadd(key('failed'), Date.now(), job.id);
  }
  const got: string[] = [];
  const consumer = cryptoStage(link).consume(async ({ id }) => {
    got.push(id);
    return { kind: 'done' };
  }, consumeOptions());
  stack.adopt(consumer, (made) => made.close(1_000));
  await until(() => got.length === 3);
  const quarantine = redisQuarantine(link, memoryBlobs());
  await until(async () => (await quarantine.list(10)).length === 1);
  const [passing, unknown, impossible, bounce] = jobs.map(({ id }) => id);
  assert.deepEqual(got.sort(), [passing, unknown, bounce].sort());
  assert.equal((await quarantine.list(10))[0]?.id, impossible);
});

test('an entry whose job went on gives its place back', async () => {
  await using stack = new AsyncDisposableStack();
  const link = await linkTo(stack, await redisServer(stack));
  const id = newMessageId(new Date());
  const since = Date.now() - 120_000;
  await link.client.zadd('{sealpost}:aside:crypto:until', Date.now() + 1e9, id);
  await link.client.hset('{sealpost}:aside:crypto:entry', id, `500 protection-failed alpha ${since}`);
  await link.client.set('{sealpost}:aside:bytes', 500);
  // What somebody else wrote must not break the list for everybody.
  await link.client.zadd('{sealpost}:aside:crypto:until', Date.now() + 1e9, 'garbage');
  await link.client.hset('{sealpost}:aside:crypto:entry', 'garbage', '-1 no-code ../x NaN');
  const quarantine = redisQuarantine(link, memoryBlobs());
  assert.equal((await quarantine.list(10)).length, 1);
  const consumer = cryptoStage(link).consume(async () => ({ kind: 'done' }), consumeOptions());
  stack.adopt(consumer, (made) => made.close(1_000));
  await until(async () => (await link.client.zcard('{sealpost}:aside:crypto:until')) === 0);
  assert.deepEqual(await quarantine.list(10), []);
  assert.equal(await link.client.get('{sealpost}:aside:bytes'), '0');
});

test('old bytes without a job are swept, those of a waiting or set-aside job are kept', async () => {
  await using stack = new AsyncDisposableStack();
  const link = await linkTo(stack, await redisServer(stack));
  const blobs = memoryBlobs();
  const [orphan, waiting, aside] = [cryptoJobs.make(), cryptoJobs.make(), cryptoJobs.make()];
  for (const { id } of [orphan, waiting, aside]) {
    await blobs.put(id, Buffer.from('x'));
    await blobs.put(`plan-${id}`, Buffer.from('x'));
  }
  await cryptoStage(link).publisher().publish([waiting, aside]);
  const log = recorder();
  const later = new Date(Date.now() + 122 * 3_600_000);
  const consumer = cryptoStage(link).consume(
    async (job): Promise<Outcome<CryptoJob>> => {
      if (job.id === aside.id) return { kind: 'quarantine', code: 'protection-failed' };
      return { kind: 'later', at: new Date(later.getTime() + 60_000), job, code: 'internal' };
    },
    consumeOptions({ blobs, log, clock: { now: () => later } }),
  );
  stack.adopt(consumer, (made) => made.close(1_000));
  await until(() => log.names().includes('blob.swept'));
  assert.equal(await blobs.get(orphan.id), undefined);
  assert.equal(await blobs.get(`plan-${orphan.id}`), undefined);
  for (const { id } of [waiting, aside]) assert.ok((await blobs.get(id)) && (await blobs.get(`plan-${id}`)));
});

test('the event stream stays short', async () => {
  await using stack = new AsyncDisposableStack();
  const link = await linkTo(stack, await redisServer(stack));
  const jobs = Array.from({ length: 2_000 }, () => cryptoJobs.make());
  await cryptoStage(link).publisher().publish(jobs);
  const consumer = cryptoStage(link).consume(async () => ({ kind: 'done' }), consumeOptions({ concurrency: 50 }));
  stack.adopt(consumer, (made) => made.close(1_000));
  await until(async () => (await cryptoStage(link).status(new Date())).waiting === 0);
  assert.ok((await link.client.xlen(key('events'))) < 500);
});
