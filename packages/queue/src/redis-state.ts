// How the Redis server stands: memory, and whether what it acknowledges reaches the disk.

import { readInfo } from './check-redis.ts';
import type { RedisLink } from './connect-redis.ts';
import { asQueueError } from './queue-error.ts';

export interface RedisState {
  readonly usedBytes: number;
  /** `maxmemory`; 0 for none. */
  readonly limitBytes: number;
  /** The append-only file is on and its last write succeeded. */
  readonly isPersisting: boolean;
}

/** Errors: `queue-unavailable`. */
export function redisState({ client }: RedisLink): Promise<RedisState> {
  return asQueueError(async () => {
    const info = readInfo(await client.info());
    return {
      usedBytes: Number(info.get('used_memory') ?? 0),
      limitBytes: Number(info.get('maxmemory') ?? 0),
      isPersisting: info.get('aof_enabled') === '1' && info.get('aof_last_write_status') === 'ok',
    };
  });
}
