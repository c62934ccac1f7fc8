// Room in Redis: full memory stops every write, also those that would make room, so new mail is refused long before (ingress
// answers 452) and mail that was accepted may still move on.

import { fail, type StageName } from '@sealpost/core';
import { readInfo } from './check-redis.ts';
import type { RedisLink } from './connect-redis.ts';

/** Share of `maxmemory` above which a stage takes no more jobs: new mail stops first, deliveries of accepted mail last. */
const fullAt: Readonly<Record<StageName, number>> = { crypto: 0.7, delivery: 0.95 };
/** A reading serves this long: memory does not fill by a quarter in less, and each costs a round trip. */
const readingLifeMs = 250;

/** A check to run before storing a job of `stage`; throws `queue-full`. A server without `maxmemory` is never full. */
export function roomLeft(redis: RedisLink, stage: StageName): () => Promise<void> {
  let reading: Promise<number> = Promise.resolve(0);
  let readAt = Number.NEGATIVE_INFINITY;

  return async () => {
    if (performance.now() - readAt > readingLifeMs) {
      readAt = performance.now();
      reading = shareUsed(redis);
      // A failed reading is told to those who wait for it and not kept.
      reading.catch(() => {
        readAt = Number.NEGATIVE_INFINITY;
      });
    }
    if ((await reading) > fullAt[stage]) throw fail('queue-full');
  };
}

async function shareUsed(redis: RedisLink): Promise<number> {
  const memory = readInfo(await redis.client.info('memory'));
  const most = Number(memory.get('maxmemory') ?? 0);
  return most > 0 ? Number(memory.get('used_memory') ?? 0) / most : 0;
}
