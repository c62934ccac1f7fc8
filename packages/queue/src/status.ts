// How a stage stands, from the queue's own keys. BullMQ has no age of the oldest job; our ids carry the time of acceptance, so it
// is the age of the mail, whatever stages it went through.

import type { StageName, StageStatus } from '@sealpost/core';
import { bornAt } from './born-at.ts';
import type { RedisLink } from './connect-redis.ts';
import { asQueueError } from './queue-error.ts';
import { stageKey } from './stage-shape.ts';

/** The list of waiting jobs is in order, so its oldest are among the next to be taken. */
const nextInLine = 100;
const scanBatch = 1_000;

/** Errors: `queue-unavailable`. */
export function stageStatus(redis: RedisLink, stage: StageName, now: Date): Promise<StageStatus> {
  const { client } = redis;
  const key = (name: string): string => stageKey(stage, name);

  async function oldestMs(): Promise<number> {
    const lists = [client.lrange(key('wait'), -nextInLine, -1), client.lrange(key('active'), 0, -1)];
    let oldest = oldestOf((await Promise.all(lists)).flat());
    // Delayed jobs are sorted by when they are due, so all have to be looked at, in pieces that do not hold the server up.
    let cursor = '0';
    do {
      const [next, pairs] = await client.zscan(key('delayed'), cursor, 'COUNT', scanBatch);
      oldest = Math.min(oldest, oldestOf(pairs));
      cursor = next;
    } while (cursor !== '0');
    return oldest === Number.POSITIVE_INFINITY ? 0 : Math.max(0, now.getTime() - oldest);
  }

  return asQueueError(async () => {
    const [waiting, active, delayed, failed] = await Promise.all([
      client.llen(key('wait')),
      client.llen(key('active')),
      client.zcard(key('delayed')),
      client.zcard(key('failed')),
    ]);
    return { stage, waiting, active, delayed, failed, oldestMs: await oldestMs() };
  });
}

/** Milliseconds; infinity when no text is an id of ours (scores that a scan returns between members are not). */
function oldestOf(ids: readonly string[]): number {
  return ids.reduce((oldest, id) => Math.min(oldest, bornAt(id)?.getTime() ?? oldest), Number.POSITIVE_INFINITY);
}
