// Marks: names of effects that were done, which outlive the job that did them (a job id deduplicates only while the job exists).

import { type Clock, fail, type Marks } from '@sealpost/core';
import type { RedisLink } from './connect-redis.ts';
import { asQueueError } from './queue-error.ts';

const prefix = 'sealpost:mark:';
const namePattern = /^[a-z0-9][a-z0-9-]{0,127}$/;

function checkedName(name: string): string {
  if (!namePattern.test(name)) throw fail('id-invalid');
  return name;
}

/** Errors: `queue-unavailable`, `queue-full`, `id-invalid`. */
export function redisMarks(redis: RedisLink): Marks {
  return {
    set: (name, lifeMs) =>
      asQueueError(async () => {
        const key = `${prefix}${checkedName(name)}`;
        await redis.verified();
        await redis.client.set(key, '1', 'PX', lifeMs);
      }),
    has: (name) => asQueueError(async () => (await redis.client.exists(`${prefix}${checkedName(name)}`)) === 1),
  };
}

/** The memory twin for tests. */
export function memoryMarks(clock: Clock): Marks {
  const until = new Map<string, number>();
  return {
    async set(name, lifeMs) {
      until.set(checkedName(name), clock.now().getTime() + lifeMs);
    },
    async has(name) {
      return (until.get(checkedName(name)) ?? 0) > clock.now().getTime();
    },
  };
}
