// The sending side of a stage: a job is durable when `publish` resolves, because the server answers after its fsync.

import type { Publisher, QueuedJob } from '@sealpost/core';
import type { RedisLink } from './connect-redis.ts';
import { redisLedger } from './ledger.ts';
import { asQueueError } from './queue-error.ts';
import { roomLeft } from './room-left.ts';
import { jobOptions, openQueue } from './stage-queue.ts';
import { type StageShape, stageKey } from './stage-shape.ts';

export function publisherOf<Job extends QueuedJob>(redis: RedisLink, stage: StageShape<Job>): Publisher<Job> {
  const queue = openQueue<QueuedJob>(redis, stage.name);
  const checkRoom = roomLeft(redis, stage.name);
  const ledger = redisLedger(redis);

  /** Takes those back that did not get into the queue; what cannot be told now is seen by an audit later. */
  async function strikeUnqueued(jobs: readonly Job[]): Promise<void> {
    for (const { id } of jobs)
      if ((await redis.client.exists(stageKey(stage.name, id))) === 0) await ledger.strike(stage.name, id);
  }

  /** A pipeline is dear to make, and most mail is one job. It is no transaction: after an error some jobs may be queued. */
  async function add(jobs: readonly Job[]): Promise<void> {
    const [first, ...others] = jobs.map((data) => ({ name: stage.name, data, opts: jobOptions(data.id) }));
    if (!first) return;
    if (others.length === 0) await queue.add(first.name, first.data, first.opts);
    else await queue.addBulk([first, ...others]);
  }

  return {
    publish: (jobs) =>
      asQueueError(async () => {
        await redis.verified();
        await checkRoom();
        try {
          // Sent in this order on one connection: a job that is done before we know of it is struck after it was entered.
          await Promise.all([ledger.enter(stage.name, jobs), add(jobs)]);
        } catch (error) {
          // Not waited for: a server that hangs would make the SMTP client wait twice.
          void strikeUnqueued(jobs).catch(() => undefined);
          throw error;
        }
      }),
    has: (id) => asQueueError(async () => (await redis.client.exists(stageKey(stage.name, id))) === 1),
    close: () => queue.close(),
  };
}
