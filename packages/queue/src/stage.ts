// A stage of the pipeline in Redis: its sending side, its receiving side, and how it stands.

import type { Consumer, CryptoJob, DeliveryJob, Handler, Publisher, QueuedJob, StageStatus } from '@sealpost/core';
import type { RedisLink } from './connect-redis.ts';
import { consumerOf } from './consume.ts';
import type { ConsumeOptions } from './consume-options.ts';
import { publisherOf } from './publish.ts';
import { cryptoShape, deliveryShape, type StageShape } from './stage-shape.ts';
import { stageStatus } from './status.ts';

export interface Stage<Job extends QueuedJob> {
  publisher(): Publisher<Job>;
  /** Starts to fetch jobs at once. */
  consume(handle: Handler<Job>, options: ConsumeOptions<Job>): Consumer;
  status(now: Date): Promise<StageStatus>;
}

export const cryptoStage = (redis: RedisLink): Stage<CryptoJob> => stageOf(redis, cryptoShape);
export const deliveryStage = (redis: RedisLink): Stage<DeliveryJob> => stageOf(redis, deliveryShape);

function stageOf<Job extends QueuedJob>(redis: RedisLink, shape: StageShape<Job>): Stage<Job> {
  return {
    publisher: () => publisherOf(redis, shape),
    consume: (handle, options) => consumerOf(redis, shape, handle, options),
    status: (now) => stageStatus(redis, shape.name, now),
  };
}
