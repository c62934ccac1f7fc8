// The queue's real times: outages of Redis longer than anything that waits on it (drainDelay, reconnecting), and a worker killed
// with a job in hand. BullMQ before 6.3.3 never resumed after such an outage while its health checks stayed green.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CryptoJob, newMessageId, tenantId } from '@sealpost/core';
import { type ConsumeOptions, connectRedis, cryptoStage, memoryBlobs } from '@sealpost/queue';
import { startRedis } from '@sealpost/testkit';

const outageMs = 25_000;
const silent = { event() {} };
const options: ConsumeOptions<CryptoJob> = {
  concurrency: 4,
  queue: { maxAgeHours: 120, quarantine: { days: 30, maxMessages: 100, maxBytes: 1_000_000 } },
  blobs: memoryBlobs(),
  clock: { now: () => new Date() },
  log: silent,
};
const newJob = (): CryptoJob => ({ v: 1, id: newMessageId(new Date()), tenant: tenantId('alpha'), ticket: 'dGlja2V0' });

test('an idle consumer fetches within seconds after a long outage', { timeout: 90_000 }, async () => {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startRedis());
  const link = stack.adopt(await connectRedis({ ...server, acceptRisks: [] }, silent), (made) => made.close());
  const [stage, got] = [cryptoStage(link), new Set<string>()];
  const consumer = stage.consume(async ({ id }) => {
    got.add(id);
    return { kind: 'done' };
  }, options);
  stack.adopt(consumer, (made) => made.close(2_000));
  await sleep(6_000);
  await server.kill();
  await sleep(outageMs);
  await server.start();
  await until(() => link.isReady(), 5_000);
  const job = newJob();
  await stage.publisher().publish([job]);
  await until(() => got.has(job.id), 10_000);
});

test('a busy consumer settles every job after a long outage', { timeout: 120_000 }, async () => {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startRedis());
  const link = stack.adopt(await connectRedis({ ...server, acceptRisks: [] }, silent), (made) => made.close());
  const [stage, got] = [cryptoStage(link), new Set<string>()];
  const jobs = Array.from({ length: 200 }, newJob);
  await stage.publisher().publish(jobs);
  const consumer = stage.consume(async ({ id }) => {
    await sleep(100);
    got.add(id);
    return { kind: 'done' };
  }, options);
  stack.adopt(consumer, (made) => made.close(2_000));
  await until(() => got.size > 20, 10_000);
  await server.kill();
  await sleep(outageMs);
  await server.start();
  await until(async () => {
    if (!link.isReady()) return false;
    const { waiting, active, delayed, failed } = await stage.status(new Date());
    return waiting + active + delayed + failed === 0;
  }, 60_000);
  assert.equal(got.size, jobs.length);
});

test('a job in the hands of a killed worker is taken over within 25 s', { timeout: 60_000 }, async () => {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startRedis());
  const link = stack.adopt(await connectRedis({ ...server, acceptRisks: [] }, silent), (made) => made.close());
  const [stage, job, got] = [cryptoStage(link), newJob(), new Set<string>()];
  await stage.publisher().publish([job]);
  const file = join(import.meta.dirname, '../../packages/queue/test/worker-process.ts');
  const child = spawn(process.execPath, [file, String(server.port), 'hang', 'REAL'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const text of child.stdout) if (String(text).includes(job.id)) break;
  child.kill('SIGKILL');
  await once(child, 'exit');
  const before = performance.now();
  const consumer = stage.consume(async ({ id }) => {
    got.add(id);
    return { kind: 'done' };
  }, options);
  stack.adopt(consumer, (made) => made.close(2_000));
  await until(() => got.has(job.id), 25_000);
  process.stdout.write(`# taken over after ${Math.round(performance.now() - before)} ms\n`);
});

async function until(condition: () => boolean | Promise<boolean>, withinMs: number): Promise<void> {
  const end = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not true within ${withinMs} ms: ${condition}`);
    await sleep(50);
  }
}
