// Nothing just disappears: BullMQ fails jobs by itself (stalled too often, an error while they were being settled) and forged
// entries can make it stumble. A running consumer looks through what failed and sends each job back to work or into quarantine.

import { type ErrorCode, fail, isErrorCode, outcomeOf, type QueuedJob } from '@sealpost/core';
import { Job as BullJob, type Queue } from 'bullmq';
import { sweepBlobs } from './blobs/sweep-blobs.ts';
import { bornAt } from './born-at.ts';
import type { RedisLink } from './connect-redis.ts';
import type { ConsumeOptions, StageTiming } from './consume-options.ts';
import { jobFields } from './job-fields.ts';
import { redisLedger } from './ledger.ts';
import { redisQuarantine } from './quarantine.ts';
import { asideIndex } from './set-aside.ts';
import { quarantineEntry } from './settle-job.ts';
import { keyPrefix, type StageShape, stageKey } from './stage-shape.ts';
import { failUnreadable } from './unreadable.ts';

/** Jobs looked at in one pass. */
const batch = 100;
/** Between taking a place in the quarantine and the job's failing lie milliseconds; an entry alone for longer has no job. */
const unfoundedAfterMs = 60_000;
const sweepEveryMs = 60 * 60_000;
/** What BullMQ writes as the reason when a job stalled more often than it may. */
const stalledReason = 'job stalled more than allowable limit';

export interface Reconciling {
  stop(): Promise<void>;
}

/** Runs a pass every `reconcileMs`; of all consumers of a stage one at a time does. */
export function startReconciling<Job extends QueuedJob>(
  redis: RedisLink,
  stage: StageShape<Job>,
  queue: Queue<QueuedJob, void, string>,
  options: ConsumeOptions<Job>,
  { reconcileMs, ledgerMs }: StageTiming,
): Reconciling {
  let stopped = false;
  let pass: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;

  function schedule(): void {
    timer = setTimeout(() => {
      pass = (async () => {
        try {
          if (await taken(redis, `reconcile:${stage.name}`, reconcileMs * 0.9)) {
            await reconcile(redis, stage, queue, options);
            if (await taken(redis, `ledger:${stage.name}`, ledgerMs * 0.9))
              await redisLedger(redis).audit(stage.name, options.clock.now());
          }
        } catch {
          // The server or the blob store is away: the next pass finds the same jobs.
        }
        if (!stopped) schedule();
      })();
    }, reconcileMs);
  }
  schedule();

  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await pass;
    },
  };
}

/** One pass. */
async function reconcile<Job extends QueuedJob>(
  redis: RedisLink,
  stage: StageShape<Job>,
  queue: Queue<QueuedJob, void, string>,
  options: ConsumeOptions<Job>,
): Promise<void> {
  const { clock, log } = options;
  const index = asideIndex(redis);
  for (const id of await failUnreadable(redis, stage.name)) log.event('alert.authenticity', jobFields(stage.name, id));

  for (const id of (await index.unlisted(stage.name)).slice(0, batch)) {
    const code = await reasonOf(redis, stage, id);
    const ageMs = clock.now().getTime() - (bornAt(id)?.getTime() ?? 0);
    const known =
      code === undefined ? undefined : outcomeOf(fail(code), ageMs, options.queue.maxAgeHours * 60 * 60_000);
    // `undefined`: it kills its workers, so a person has to look before it gets another.
    if (known && known.outcome !== 'quarantine') {
      const job = await BullJob.fromId(queue, id);
      await job?.retry('failed');
    } else {
      const data = await redis.client.hget(stageKey(stage.name, id), 'data');
      const entry = await quarantineEntry(stage, id, parsed(data), known?.code ?? 'worker-overrun', options);
      if (!(await index.reserve(entry, options.queue.quarantine))) {
        log.event('alert.quarantine-full', jobFields(stage.name, id));
        break;
      }
    }
    log.event('job.reconciled', { ...jobFields(stage.name, id), code: known?.code ?? 'worker-overrun' });
  }

  for (const id of (await index.unfounded(stage.name)).slice(0, batch)) {
    const since = (await index.get(stage.name, id))?.since.getTime() ?? 0;
    if (clock.now().getTime() - since > unfoundedAfterMs) await index.release(stage.name, id);
  }

  for (const ended of await redisQuarantine(redis, options.blobs).expire(clock.now())) {
    log.event('message.expired', { ...jobFields(ended.stage, ended.id), tenant: ended.tenant, code: ended.code });
  }

  if (await taken(redis, 'sweep', sweepEveryMs)) {
    const count = await sweepBlobs(redis, options.blobs, clock.now(), options.queue.maxAgeHours * 60 * 60_000);
    if (count > 0) log.event('blob.swept', { count });
  }
}

/** The code for which a job failed; undefined when it stalled too often. */
async function reasonOf<Job extends QueuedJob>(
  { client }: RedisLink,
  stage: StageShape<Job>,
  id: string,
): Promise<ErrorCode | undefined> {
  const [data, reason] = await client.hmget(stageKey(stage.name, id), 'data', 'failedReason');
  try {
    stage.read(parsed(data ?? null));
  } catch {
    return 'job-malformed';
  }
  if (reason === stalledReason) return undefined;
  return reason && isErrorCode(reason) ? reason : 'internal';
}

function parsed(data: string | null): unknown {
  try {
    return JSON.parse(data ?? '');
  } catch {
    return undefined;
  }
}

/** Whether this process may do a task that one process does at a time; nobody else may before `lifeMs` are over. */
async function taken({ client }: RedisLink, task: string, lifeMs: number): Promise<boolean> {
  return (await client.set(`${keyPrefix}:task:${task}`, '1', 'PX', Math.round(lifeMs), 'NX')) === 'OK';
}
