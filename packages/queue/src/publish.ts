// The sending side of a stage: a job is durable when `publish` resolves, because the server answers after its fsync.

import type { Publisher, QueuedJob } from '@sealpost/core';
import type { RedisLink } from './connect-redis.ts';
import { asQueueError } from './queue-error.ts';
import { roomLeft } from './room-left.ts';
import { jobOptions, openQueue } from './stage-queue.ts';
import { type StageShape, stageKey } from './stage-shape.ts';

export function publisherOf<Job extends QueuedJob>(redis: RedisLink, stage: StageShape<Job>): Publisher<Job> {
  const queue = openQueue<QueuedJob>(redis, stage.name);
  const checkRoom = roomLeft(redis, stage.name);

  return {
    publish: (jobs) =>
      asQueueError(async () => {
        await redis.verified();
        await checkRoom();
        // A pipeline, not a transaction: after an error some jobs may be queued, and publishing all again is harmless.
        await queue.addBulk(jobs.map((data) => ({ name: stage.name, data, opts: jobOptions(data.id) })));
      }),
    has: (id) => asQueueError(async () => (await redis.client.exists(stageKey(stage.name, id))) === 1),
    close: () => queue.close(),
  };
}
