// Jobs that BullMQ cannot read: it would fetch, stumble over and stall them again and again, past every limit. Nobody of ours
// writes such a job, so it is failed by force and the reconciler sets it aside as malformed.

import type { StageName } from '@sealpost/core';
import type { RedisLink } from './connect-redis.ts';
import { stageKey } from './stage-shape.ts';

/**
 * KEYS active, stalled, failed, job, lock; ARGV id, now. An id that names something else than a job, as `wait` does, is only
 * dropped: there is no job, and one such id stops BullMQ's whole check for stalled jobs.
 */
const failScript = `
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
redis.call('SREM', KEYS[2], ARGV[1])
redis.call('DEL', KEYS[5])
if redis.call('TYPE', KEYS[4]).ok ~= 'hash' then return 1 end
redis.call('HSET', KEYS[4], 'failedReason', 'job-malformed', 'finishedOn', ARGV[2], 'opts', '{}')
redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])
return 1`;

/** Fails the active jobs whose data or options are no JSON; returns their ids. */
export async function failUnreadable(redis: RedisLink, stage: StageName): Promise<readonly string[]> {
  const failed: string[] = [];
  for (const id of new Set(await redis.client.lrange(stageKey(stage, 'active'), 0, -1))) {
    if (await isReadable(redis, stageKey(stage, id))) continue;
    const keys = ['active', 'stalled', 'failed', id, `${id}:lock`].map((name) => stageKey(stage, name));
    if ((await redis.client.eval(failScript, keys.length, ...keys, id, Date.now())) === 1) failed.push(id);
  }
  return failed;
}

async function isReadable({ client }: RedisLink, key: string): Promise<boolean> {
  if ((await client.type(key)) !== 'hash') return false;
  const [data, opts] = await client.hmget(key, 'data', 'opts');
  try {
    JSON.parse(data ?? '{}');
    JSON.parse(opts ?? '{}');
    return true;
  } catch {
    return false;
  }
}
