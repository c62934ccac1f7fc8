// The quarantine as operators see it: both stages' jobs that were set aside. They keep their blobs and end by themselves.

import { type Quarantine, type QuarantineEntry, type QueuedJob, type StageName, ticketBytes } from '@sealpost/core';
import { Job as BullJob } from 'bullmq';
import { isBlobId, type SpoolBlobs } from './blobs/spool-blobs.ts';
import type { RedisLink } from './connect-redis.ts';
import { redisLedger } from './ledger.ts';
import { asQueueError } from './queue-error.ts';
import { asideIndex } from './set-aside.ts';
import { openQueue } from './stage-queue.ts';
import { cryptoShape, deliveryShape, stageKey } from './stage-shape.ts';

const stages: readonly StageName[] = ['crypto', 'delivery'];
/** Entries ended in one go; the next pass takes the rest. */
const endBatch = 100;

/** Errors: `queue-unavailable`. */
export function redisQuarantine(redis: RedisLink, blobs: SpoolBlobs): Quarantine {
  const { client } = redis;
  const index = asideIndex(redis);
  const ledger = redisLedger(redis);

  async function find(id: string): Promise<QuarantineEntry | undefined> {
    for (const stage of stages) {
      const entry = await index.get(stage, id);
      if (entry) return entry;
    }
    return undefined;
  }

  /** The stored job; undefined for one that is not a job of the stage: it cannot go back to work. */
  async function jobOf(entry: QuarantineEntry | undefined): Promise<(QueuedJob & { ticket: string }) | undefined> {
    if (!entry) return undefined;
    const data = await client.hget(stageKey(entry.stage, entry.id), 'data');
    try {
      const value: unknown = JSON.parse(data ?? '');
      const job = entry.stage === 'crypto' ? cryptoShape.read(value) : deliveryShape.read(value);
      return job.id === entry.id ? job : undefined;
    } catch {
      return undefined;
    }
  }

  async function putBack(stage: StageName, id: string, job: QueuedJob): Promise<boolean> {
    const queue = openQueue(redis, stage);
    try {
      // With its stalls forgotten: a job that stalled out would be failed again at the first one.
      await client.hset(stageKey(stage, id), { data: JSON.stringify(job), stc: 0 });
      await client.hdel(stageKey(stage, id), 'defa');
      const stored = await BullJob.fromId(queue, id);
      await stored?.retry('failed', { resetAttemptsMade: true });
      return stored !== undefined;
    } catch (error) {
      // Not in the failed set any more: somebody else took it, or its time ended.
      if ((await client.zscore(stageKey(stage, 'failed'), id)) === null) return false;
      throw error;
    } finally {
      await queue.close();
    }
  }

  async function end(stage: StageName, id: string, now: Date): Promise<QuarantineEntry | undefined> {
    const entry = await index.get(stage, id);
    // The entry first: a job that is put back at this moment keeps its bytes. Bytes left behind by a crash here are swept.
    if (!(await index.end(stage, id, now))) return undefined;
    await ledger.strike(stage, id);
    for (const name of [id, `plan-${id}`].filter(isBlobId)) await blobs.remove(name);
    return entry;
  }

  return {
    list: (limit) =>
      asQueueError(async () => {
        const entries = (await Promise.all(stages.map((stage) => index.newest(stage, limit)))).flat();
        return entries.sort((a, b) => b.since.getTime() - a.since.getTime()).slice(0, limit);
      }),
    get: (id) => asQueueError(() => find(id)),
    ticket: (id) =>
      asQueueError(async () => {
        const job = await jobOf(await find(id));
        return job && ticketBytes(job);
      }),
    requeue: (id, release) =>
      asQueueError(async () => {
        const entry = await find(id);
        const job = await jobOf(entry);
        if (!entry || !job) return false;
        const released = release === undefined ? job : { ...job, release };
        if (!(await putBack(entry.stage, id, released))) return false;
        await index.release(entry.stage, id);
        return true;
      }),
    expire: (now) =>
      asQueueError(async () => {
        const ended: QuarantineEntry[] = [];
        for (const stage of stages) {
          for (const id of await index.due(stage, now, endBatch)) {
            const entry = await end(stage, id, now);
            if (entry) ended.push(entry);
          }
        }
        return ended;
      }),
  };
}
