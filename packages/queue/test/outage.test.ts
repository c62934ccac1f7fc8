// Consumers over an outage of the server, idle and busy. test/fault runs the same with outages of more than 20 s.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { cryptoStage } from '../src/index.ts';
import { linkTo, redisServer, until } from './fixtures.ts';
import { consumeOptions, cryptoJobs } from './stage.contract.ts';

const outageMs = 2_500;

test('an idle consumer works again after an outage', async () => {
  await using stack = new AsyncDisposableStack();
  const server = await redisServer(stack);
  const link = await linkTo(stack, server);
  const got: string[] = [];
  const consumer = cryptoStage(link).consume(async ({ id }) => {
    got.push(id);
    return { kind: 'done' };
  }, consumeOptions());
  stack.adopt(consumer, (made) => made.close(1_000));
  await sleep(300);
  await server.kill();
  await sleep(outageMs);
  assert.equal(await consumer.idleWithBacklogMs(), 0);
  await server.start();
  await until(() => link.isReady());
  const job = cryptoJobs.make();
  await cryptoStage(link).publisher().publish([job]);
  await until(() => got.includes(job.id));
});

test('a busy consumer loses no job over an outage and runs again what it could not settle', async () => {
  await using stack = new AsyncDisposableStack();
  const server = await redisServer(stack);
  const link = await linkTo(stack, server);
  const stage = cryptoStage(link);
  const jobs = Array.from({ length: 60 }, () => cryptoJobs.make());
  await stage.publisher().publish(jobs);
  const got = new Set<string>();
  const consumer = stage.consume(async ({ id }) => {
    await sleep(50);
    got.add(id);
    return { kind: 'done' };
  }, consumeOptions());
  stack.adopt(consumer, (made) => made.close(1_000));
  await until(() => got.size > 10);
  await server.kill();
  await sleep(outageMs);
  await server.start();
  await until(async () => link.isReady() && got.size === jobs.length, 15_000);
  await until(async () => {
    const { waiting, active, delayed, failed } = await stage.status(new Date());
    return waiting + active + delayed + failed === 0;
  });
});

test('jobs that wait while none is fetched show as idleness, and only then', async () => {
  await using stack = new AsyncDisposableStack();
  const link = await linkTo(stack, await redisServer(stack));
  const stage = cryptoStage(link);
  const started = Promise.withResolvers<void>();
  const finish = Promise.withResolvers<void>();
  const consumer = stage.consume(
    async () => {
      started.resolve();
      await finish.promise;
      return { kind: 'done' };
    },
    consumeOptions({ concurrency: 1 }),
  );
  stack.adopt(consumer, (made) => made.close(1_000));
  assert.equal(await consumer.idleWithBacklogMs(), 0);
  await stage.publisher().publish([cryptoJobs.make(), cryptoJobs.make()]);
  await started.promise;
  await sleep(100);
  assert.equal(await consumer.idleWithBacklogMs(), 0, 'its hands are full');

  // A paused queue stands for a worker that does not resume: jobs wait and nobody fetches.
  await link.client.hset('{sealpost}:crypto:meta', 'paused', 1);
  finish.resolve();
  await until(async () => (await stage.status(new Date())).active === 0);
  await sleep(200);
  assert.ok((await consumer.idleWithBacklogMs()) >= 150);
  await link.client.del('{sealpost}:crypto:wait');
  assert.equal(await consumer.idleWithBacklogMs(), 0);
});

test('closing keeps its deadline while the server is away', async () => {
  await using stack = new AsyncDisposableStack();
  const server = await redisServer(stack);
  const stage = cryptoStage(await linkTo(stack, server));
  const consumer = stage.consume(async () => ({ kind: 'done' }), consumeOptions());
  await sleep(200);
  await server.kill();
  const before = performance.now();
  await consumer.close(500);
  assert.ok(performance.now() - before < 2_000);
});
