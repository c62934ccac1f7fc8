// The receiving side of a stage: a BullMQ worker whose settings bring a job to another worker soon after its own died, and a
// reconciler that leaves no failed job behind.

import type { Consumer, Handler, QueuedJob } from '@sealpost/core';
import { type Job as BullJob, Worker } from 'bullmq';
import { watchBacklog } from './backlog.ts';
import type { RedisLink } from './connect-redis.ts';
import type { ConsumeOptions, StageTiming } from './consume-options.ts';
import { jobFields } from './job-fields.ts';
import { asQueueError } from './queue-error.ts';
import { startReconciling } from './reconcile.ts';
import { type Grip, settler } from './settle-job.ts';
import { openQueue } from './stage-queue.ts';
import { keyPrefix, type StageShape, stageKey } from './stage-shape.ts';
import { waitedMs } from './waited.ts';

const stageTiming: StageTiming = { lockMs: 15_000, stalledCheckMs: 5_000, reconcileMs: 5_000, ledgerMs: 60_000 };
/** Stalls in a row after which a job is taken for one that kills its workers. */
const maxStalls = 5;
/** BullMQ waits 15 s after a failed fetch unless told otherwise: too long after an outage. */
const retryFetchMs = 1_000;
/** Closing connections takes this long at most when the deadline is over already. */
const settleMs = 100;

export function consumerOf<Job extends QueuedJob>(
  redis: RedisLink,
  stage: StageShape<Job>,
  handle: Handler<Job>,
  options: ConsumeOptions<Job>,
): Consumer {
  const timing = { ...stageTiming, ...options.timing };
  const queue = openQueue<QueuedJob>(redis, stage.name);
  const connection = redis.forWorker();
  const backlog = watchBacklog(redis, stage.name, options.concurrency);
  let abandoned = false;

  const grip: Grip = {
    lockMs: timing.lockMs,
    async holds(id, token) {
      if (abandoned) return false;
      return asQueueError(async () => (await queue.getBackend().extendLock(id, token, timing.lockMs)) === 1);
    },
    remember: (id, fields) =>
      asQueueError(async () => {
        await redis.client.hset(stageKey(stage.name, id), fields);
      }),
    async letGo(id, token, delayMs, fieldsToUpdate, spends) {
      try {
        const how = { skipAttempt: !spends, fieldsToUpdate };
        await worker.getBackend().moveToDelayed(id, Date.now(), delayMs, token, how);
      } catch (error) {
        // BullMQ's own refusals carry a number: the lock is somebody else's or the job is gone, theirs to settle. After anything
        // else the job is still here and stalls over to the next worker.
        const lost = error instanceof Error && 'code' in error && typeof error.code === 'number';
        if (lost) options.log.event('job.stalled', jobFields(stage.name, id));
        else options.log.event('queue.fault', { error: error instanceof Error ? error : new Error('unknown') });
      }
    },
  };

  const settle = settler(redis, stage, handle, options, grip);
  const worker = new Worker<unknown, void>(
    stage.name,
    (bullJob: BullJob<unknown>, token = '') =>
      backlog.inHand(() => timed(bullJob, options.onTry, () => settle(bullJob, token))),
    {
      connection,
      prefix: keyPrefix,
      concurrency: options.concurrency,
      lockDuration: timing.lockMs,
      stalledInterval: timing.stalledCheckMs,
      maxStalledCount: maxStalls,
      runRetryDelay: retryFetchMs,
      removeOnComplete: { count: 0 },
    },
  );
  worker.on('stalled', (id) => options.log.event('job.stalled', jobFields(stage.name, id)));
  worker.on('lockRenewalFailed', (ids) => {
    for (const id of ids) options.log.event('job.lock-lost', jobFields(stage.name, id));
  });
  worker.on('error', (error) => {
    // A lost connection is told by the link.
    if (!('syscall' in error) && !/^(Connection is closed|Stream isn't writeable)/.test(error.message)) {
      options.log.event('queue.fault', { error });
    }
  });
  const reconciling = startReconciling(redis, stage, queue, options, timing);

  return {
    idleWithBacklogMs: () => backlog.idleMs(),
    async close(deadlineMs) {
      const end = performance.now() + deadlineMs;
      backlog.stop();
      await worker.pause(true);
      abandoned = !(await inTime(Promise.all([backlog.emptied(), reconciling.stop()]), deadlineMs));
      // BullMQ's own way waits for a fetch to end, which it does not while the server is away, and cannot be hurried later.
      const force = abandoned || !redis.isReady();
      await inTime(worker.close(force), Math.max(end - performance.now(), settleMs));
      connection.disconnect();
      await queue.close();
    },
  };
}

/** Runs one try and tells how long it took. */
async function timed(
  job: BullJob<unknown>,
  onTry: ConsumeOptions<never>['onTry'],
  run: () => Promise<void>,
): Promise<void> {
  if (!onTry) return run();
  const waited = waitedMs(job);
  const started = performance.now();
  try {
    await run();
  } finally {
    onTry({ ...waited, tookMs: performance.now() - started });
  }
}

/** Whether `work` ended before the deadline; BullMQ's own close has none. */
async function inTime(work: Promise<unknown>, deadlineMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), deadlineMs);
  });
  const done = work.then(
    () => true,
    () => true,
  );
  try {
    return await Promise.race([done, late]);
  } finally {
    clearTimeout(timer);
  }
}
