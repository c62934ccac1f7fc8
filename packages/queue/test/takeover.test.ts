// A job whose worker died, hung or lost it: another worker gets it, exactly one may act on it, and none just disappears.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Claim, CryptoJob, Outcome } from '@sealpost/core';
import type { RedisServer } from '@sealpost/testkit';
import { cryptoStage, memoryBlobs, redisQuarantine } from '../src/index.ts';
import { linkTo, recorder, redisServer, until } from './fixtures.ts';
import { consumeOptions, cryptoJobs } from './stage.contract.ts';

const done: Outcome<never> = { kind: 'done' };

interface WorkerProcess {
  readonly child: ChildProcess;
  readonly said: Record<string, unknown>[];
}

async function workerProcess(stack: AsyncDisposableStack, server: RedisServer, mode: string): Promise<WorkerProcess> {
  const file = join(import.meta.dirname, 'worker-process.ts');
  const child = spawn(process.execPath, [file, String(server.port), mode], { stdio: ['ignore', 'pipe', 'inherit'] });
  stack.defer(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  const said: Record<string, unknown>[] = [];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    for (const line of text.split('\n')) if (line) said.push(JSON.parse(line));
  });
  await until(() => said.length > 0);
  return { child, said };
}

test('a job whose worker process is killed goes to another worker, which is told', async () => {
  await using stack = new AsyncDisposableStack();
  const server = await redisServer(stack);
  const stage = cryptoStage(await linkTo(stack, server));
  const job = cryptoJobs.make();
  await stage.publisher().publish([job]);
  const first = await workerProcess(stack, server, 'hang');
  await until(() => first.said.some(({ started }) => started === job.id));
  first.child.kill('SIGKILL');

  const log = recorder();
  const taken: [CryptoJob, number][] = [];
  const consumer = stage.consume(async (received, { diedBefore }) => {
    taken.push([received, diedBefore]);
    return done;
  }, consumeOptions({ log }));
  stack.adopt(consumer, (made) => made.close(1_000));
  await until(() => taken.length > 0);
  assert.deepEqual(taken, [[job, 1]]);
  assert.ok(log.names().includes('job.stalled'));
});

test('of two workers that run one job, because the first’s event loop was blocked, only one passes the fence', async () => {
  await using stack = new AsyncDisposableStack();
  const server = await redisServer(stack);
  const stage = cryptoStage(await linkTo(stack, server));
  const job = cryptoJobs.make();
  await stage.publisher().publish([job]);
  const blocked = await workerProcess(stack, server, 'block');
  await until(() => blocked.said.some(({ started }) => started === job.id));

  const answers: boolean[] = [];
  const consumer = stage.consume(async (_job, claim) => {
    await until(() => blocked.said.some(({ held }) => held !== undefined));
    answers.push(await claim.isHeld());
    return done;
  }, consumeOptions());
  stack.adopt(consumer, (made) => made.close(1_000));
  await until(() => answers.length > 0);
  assert.deepEqual(
    blocked.said.flatMap(({ held }) => (held === undefined ? [] : [held])),
    [false],
  );
  assert.deepEqual(answers, [true]);
  await until(async () => (await stage.status(new Date())).active === 0);
  await sleep(500);
  assert.equal(answers.length, 1);
});

test('a worker that lost its lock changes nothing, whatever it says; the job runs again', async () => {
  const endings: readonly ((job: CryptoJob) => Outcome<CryptoJob>)[] = [
    () => done,
    (job) => ({ kind: 'later', at: new Date(), job: { ...job, release: 'stolen' }, code: 'internal' }),
    (job) => ({ kind: 'quarantine', code: 'protection-failed', job: { ...job, release: 'stolen' } }),
  ];
  for (const ending of endings) {
    await using stack = new AsyncDisposableStack();
    const link = await linkTo(stack, await redisServer(stack));
    const [stage, job] = [cryptoStage(link), cryptoJobs.make()];
    await stage.publisher().publish([job]);
    const runs: { job: CryptoJob; held: boolean }[] = [];
    const consumer = stage.consume(async (received: CryptoJob, claim: Claim) => {
      // Past the time in which the lock is known to be ours.
      if (runs.length === 0) await sleep(150);
      if (runs.length === 0) await link.client.set(`{sealpost}:crypto:${job.id}:lock`, 'another', 'PX', 500);
      runs.push({ job: received, held: await claim.isHeld() });
      return runs.length === 1 ? ending(received) : done;
    }, consumeOptions());
    stack.adopt(consumer, (made) => made.close(1_000));
    await until(() => runs.length === 2);
    assert.deepEqual(runs, [
      { job, held: false },
      { job, held: true },
    ]);
    await until(async () => !(await stage.publisher().has(job.id)));
    assert.deepEqual(await redisQuarantine(link, memoryBlobs()).list(10), []);
  }
});

test('a lock that cannot be renewed is told while the job is still in hand', async () => {
  await using stack = new AsyncDisposableStack();
  const link = await linkTo(stack, await redisServer(stack));
  const [stage, job, log] = [cryptoStage(link), cryptoJobs.make(), recorder()];
  await stage.publisher().publish([job]);
  const taken = async () => {
    await link.client.set(`{sealpost}:crypto:${job.id}:lock`, 'another', 'PX', 60_000);
    await until(() => log.names().includes('job.lock-lost'));
    return done;
  };
  const consumer = stage.consume(taken, consumeOptions({ log }));
  stack.adopt(consumer, (made) => made.close(1_000));
  await until(() => log.names().includes('job.lock-lost'));
  assert.deepEqual(log.events.find(([name]) => name === 'job.lock-lost')?.[1], { message: job.id });
});

test('a job that kills its workers ends in quarantine, and back from there it gets its tries again', async () => {
  await using stack = new AsyncDisposableStack();
  const server = await redisServer(stack);
  const link = await linkTo(stack, server);
  const stage = cryptoStage(link);
  const job = cryptoJobs.make();
  await stage.publisher().publish([job]);
  // It has done so five times before.
  await link.client.hset(`{sealpost}:crypto:${job.id}`, 'stc', 5);
  const killed = await workerProcess(stack, server, 'die');
  await until(() => killed.child.signalCode === 'SIGKILL');
  assert.deepEqual(killed.said.at(-1), { started: job.id, diedBefore: 5 });

  const log = recorder();
  const runs: number[] = [];
  const consumer = stage.consume(async (_job, { diedBefore }) => {
    runs.push(diedBefore);
    return done;
  }, consumeOptions({ log }));
  stack.adopt(consumer, (made) => made.close(1_000));
  const quarantine = redisQuarantine(link, memoryBlobs());
  await until(async () => (await quarantine.get(job.id))?.code === 'worker-overrun');
  assert.deepEqual(runs, []);
  assert.ok(log.names().includes('job.reconciled'));
  assert.equal(await quarantine.requeue(job.id), true);
  await until(() => runs.length > 0);
  assert.deepEqual(runs, [0]);
});
