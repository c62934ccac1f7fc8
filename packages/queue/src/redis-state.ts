// How the Redis server stands: memory, whether what it acknowledges reaches the disk, and what it has done since its start.

import { readInfo } from './check-redis.ts';
import type { RedisLink } from './connect-redis.ts';
import { asQueueError } from './queue-error.ts';

export interface RedisState {
  readonly usedBytes: number;
  /** `maxmemory`; 0 for none. */
  readonly limitBytes: number;
  /** The append-only file is on and its last write succeeded. */
  readonly isPersisting: boolean;
  /** Since its start, of all clients. */
  readonly commands: number;
  /** User and system, forked children left out. */
  readonly cpuSeconds: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** Errors: `queue-unavailable`. */
export function redisState({ client }: RedisLink): Promise<RedisState> {
  return asQueueError(async () => {
    const info = readInfo(await client.info());
    const number = (name: string): number => Number(info.get(name) ?? 0);
    return {
      usedBytes: number('used_memory'),
      limitBytes: number('maxmemory'),
      isPersisting: info.get('aof_enabled') === '1' && info.get('aof_last_write_status') === 'ok',
      commands: number('total_commands_processed'),
      cpuSeconds: number('used_cpu_user') + number('used_cpu_sys'),
      bytesIn: number('total_net_input_bytes'),
      bytesOut: number('total_net_output_bytes'),
    };
  });
}
