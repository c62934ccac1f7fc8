// What every form of a stage promises (core/ports.ts: Publisher, Consumer, Claim).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Claim,
  type Clock,
  type CryptoJob,
  type DeliveryJob,
  deliveryId,
  fail,
  type Handler,
  newMessageId,
  type Outcome,
  type QueuedJob,
  tenantId,
} from '@sealpost/core';
import { type ConsumeOptions, memoryBlobs, type Stage } from '../src/index.ts';
import { type Recorder, recorder, until } from './fixtures.ts';

export const clock: Clock = { now: () => new Date() };

/** A stage's kind of job for the contract. */
export interface JobKind<Job extends QueuedJob> {
  make(at?: Date): Job;
  /** The job with something else in it. */
  changed(job: Job, turn: number): Job;
}

const common = { v: 1, tenant: tenantId('alpha'), ticket: 'dGlja2V0' } as const;

export const cryptoJobs: JobKind<CryptoJob> = {
  make: (at = new Date()) => ({ ...common, id: newMessageId(at) }),
  changed: (job, turn) => ({ ...job, release: `r${turn}` }),
};

export const deliveryJobs: JobKind<DeliveryJob> = {
  make: (at = new Date()) => ({ ...common, id: deliveryId(newMessageId(at), 'g1'), settled: [], attempts: 0 }),
  changed: (job, turn) => ({ ...job, attempts: turn, settled: [{ at: turn, outcome: 'delivered' }] }),
};

export function consumeOptions<Job extends QueuedJob>(more: Partial<ConsumeOptions<Job>> = {}): ConsumeOptions<Job> {
  return {
    concurrency: 4,
    queue: { maxAgeHours: 120, quarantine: { days: 30, maxMessages: 100, maxBytes: 1_000_000 } },
    blobs: memoryBlobs(),
    clock,
    log: recorder(),
    timing: { lockMs: 1_000, stalledCheckMs: 300, reconcileMs: 200 },
    ...more,
  };
}

interface Running<Job extends QueuedJob> {
  readonly stage: Stage<Job>;
  readonly log: Recorder;
  publish(...jobs: Job[]): Promise<void>;
  consume(handle: Handler<Job>, more?: Partial<ConsumeOptions<Job>>): void;
  settled(): Promise<boolean>;
}

export function stageContract<Job extends QueuedJob>(
  form: string,
  { make, changed }: JobKind<Job>,
  open: (stack: AsyncDisposableStack) => Promise<Stage<Job>>,
): void {
  const named = (name: string, run: (running: Running<Job>) => Promise<void>): void => {
    test(`${form}: ${name}`, async () => {
      await using stack = new AsyncDisposableStack();
      const stage = await open(stack);
      const publisher = stack.adopt(stage.publisher(), (opened) => opened.close());
      const log = recorder();
      await run({
        stage,
        log,
        publish: (...jobs) => publisher.publish(jobs),
        consume(handle, more) {
          stack.adopt(stage.consume(handle, consumeOptions({ log, ...more })), (consumer) => consumer.close(5_000));
        },
        async settled() {
          const { waiting, active, delayed } = await stage.status(new Date());
          return waiting + active + delayed === 0;
        },
      });
    });
  };
  const done: Outcome<Job> = { kind: 'done' };

  named('hands every job over once, unchanged', async ({ publish, consume, settled }) => {
    const jobs = Array.from({ length: 50 }, () => make());
    const got: Job[] = [];
    await publish(...jobs);
    consume(async (received) => {
      got.push(received);
      return done;
    });
    await until(settled);
    const byId = (a: Job, b: Job): number => a.id.localeCompare(b.id);
    assert.deepEqual(got.sort(byId), jobs.sort(byId));
  });

  named('leaves a job that is queued already as it is', async ({ stage, publish, consume, settled }) => {
    const first = make();
    const publisher = stage.publisher();
    await publish(first);
    await publish(changed(first, 1), first);
    assert.equal(await publisher.has(first.id), true);
    assert.equal(await publisher.has(make().id), false);
    const got: Job[] = [];
    consume(async (received) => {
      got.push(received);
      return done;
    });
    await until(settled);
    assert.deepEqual(got, [first]);
    assert.equal(await publisher.has(first.id), false);
  });

  named('brings a job back later with its new data', async ({ publish, consume, settled }) => {
    const first = make();
    const got: { job: Job; at: number }[] = [];
    await publish(first);
    consume(async (received, { diedBefore }) => {
      assert.equal(diedBefore, 0);
      got.push({ job: received, at: performance.now() });
      if (got.length > 2) return done;
      return {
        kind: 'later',
        at: new Date(Date.now() + 300),
        job: changed(first, got.length),
        code: 'next-hop-deferred',
      };
    });
    await until(settled);
    assert.deepEqual(
      got.map((turn) => turn.job),
      [first, changed(first, 1), changed(first, 2)],
    );
    for (const [index, { at }] of got.entries()) {
      assert.ok(index === 0 || at - (got[index - 1]?.at ?? 0) >= 295, 'not before its time');
    }
  });

  named('tries again after an error that may pass', async ({ publish, consume, settled, log }) => {
    let tries = 0;
    await publish(make());
    consume(async () => {
      tries += 1;
      if (tries === 1) throw new TypeError('secret text');
      return done;
    });
    await until(settled);
    assert.equal(tries, 2);
    assert.deepEqual(
      log.events.filter(([name]) => name === 'job.later').map(([, fields]) => fields?.code),
      ['internal'],
    );
  });

  named('brings a job that threw back in the form that its try gave it', async ({ publish, consume, settled }) => {
    const job = make();
    const seen: Job[] = [];
    await publish(job);
    consume(async (given, _claim, retryAs) => {
      seen.push(given);
      retryAs(changed(given, seen.length));
      if (seen.length === 1) throw fail('key-service-unavailable');
      return done;
    });
    await until(settled);
    assert.deepEqual(seen, [job, changed(job, 1)]);
  });

  named('sets aside what is told to be, and what cannot pass', async ({ stage, publish, consume, settled, log }) => {
    const jobs = [make(), make(), make()];
    const old = make(new Date(Date.now() - 121 * 3_600_000));
    await publish(...jobs, old);
    consume(async ({ id }) => {
      if (id === jobs[0]?.id) return { kind: 'quarantine', code: 'unprotected-null-sender' };
      if (id === jobs[1]?.id) throw fail('ticket-invalid');
      if (id === old.id) throw fail('key-service-sealed');
      throw fail('recipient-without-certificate');
    });
    await until(settled);
    assert.equal((await stage.status(new Date())).failed, 4);
    const codes = log.events.filter(([name]) => name === 'message.quarantined').map(([, fields]) => fields?.code);
    assert.deepEqual(codes.sort(), [
      'key-service-sealed',
      'recipient-without-certificate',
      'ticket-invalid',
      'unprotected-null-sender',
    ]);
    assert.ok(log.names().includes('alert.authenticity'));
  });

  named('keeps a job that is set aside harmless to publish again', async ({ stage, publish, consume, settled }) => {
    const first = make();
    let runs = 0;
    await publish(first);
    consume(async () => {
      runs += 1;
      return { kind: 'quarantine', code: 'protection-failed' };
    });
    await until(async () => (await settled()) && (await stage.status(new Date())).failed === 1);
    await publish(first);
    assert.equal(await stage.publisher().has(first.id), true);
    assert.equal(await settled(), true);
    assert.equal(runs, 1);
  });

  named('asks the bounce hook, and sets aside when that cannot bounce either', async (running) => {
    const [told, failing] = [make(), make()];
    const asked: string[] = [];
    await running.publish(told, failing);
    running.consume(
      async () => {
        throw fail('recipient-without-certificate');
      },
      {
        async onBounce({ id }, code) {
          asked.push(`${id} ${code}`);
          if (id === failing.id) throw fail('next-hop-refused');
          return done;
        },
      },
    );
    await until(running.settled);
    const code = 'recipient-without-certificate';
    assert.deepEqual(asked.sort(), [`${told.id} ${code}`, `${failing.id} ${code}`].sort());
    assert.equal((await running.stage.status(new Date())).failed, 1);
  });

  named('says that a job in hand is held', async ({ publish, consume, settled }) => {
    const held: boolean[] = [];
    await publish(make());
    consume(async (_job, claim: Claim) => {
      held.push(await claim.isHeld());
      return done;
    });
    await until(settled);
    assert.deepEqual(held, [true]);
  });

  named('waits for jobs in hand when it closes, up to the deadline', async ({ stage, publish }) => {
    let finish: () => void = () => {};
    const started = Promise.withResolvers<Claim>();
    await publish(make());
    const consumer = stage.consume(async (_job, claim) => {
      started.resolve(claim);
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      return done;
    }, consumeOptions());
    const claim = await started.promise;
    const before = performance.now();
    await consumer.close(300);
    assert.ok(performance.now() - before >= 290 && performance.now() - before < 3_000);
    assert.equal(await claim.isHeld(), false);
    finish();
  });

  named('shows how it stands and how old the oldest mail is', async ({ stage, publish }) => {
    const { stage: _name, ...empty } = await stage.status(new Date());
    assert.deepEqual(empty, { waiting: 0, active: 0, delayed: 0, failed: 0, oldestMs: 0 });
    const now = new Date();
    await publish(make(now), make(new Date(now.getTime() - 5_000)), make(now));
    const status = await stage.status(now);
    assert.equal(status.waiting, 3);
    assert.equal(status.oldestMs, 5_000);
  });
}
