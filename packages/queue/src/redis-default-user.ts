// Whether Redis' user `default` may do everything. Redis 7.0 replays its append-only file with the rights of that user, and silently
// drops the transactions that they do not cover (measured).

import type { RedisLink } from './connect-redis.ts';
import { asQueueError } from './queue-error.ts';

/** `unknown`: our user may not ask, or the server is too old to have users. */
export type DefaultUser = 'able' | 'limited' | 'unknown';

/** Errors: `queue-unavailable`. */
export function redisDefaultUser({ client }: RedisLink): Promise<DefaultUser> {
  return asQueueError(async () => {
    try {
      const reply: unknown = await client.acl('GETUSER', 'default');
      if (!Array.isArray(reply)) return 'unknown';
      const facts = new Map<unknown, unknown>(
        Array.from({ length: reply.length / 2 }, (_, at) => [reply[2 * at], reply[2 * at + 1]]),
      );
      // Lists in Redis 6, texts since 7.
      const has = (name: string, word: string): boolean => [facts.get(name)].flat().join(' ').split(' ').includes(word);
      const isAble =
        has('flags', 'on') &&
        has('commands', '+@all') &&
        !/ -/.test(String(facts.get('commands'))) &&
        (has('keys', '~*') || has('keys', '*')) &&
        (has('channels', '&*') || has('channels', '*'));
      return isAble ? 'able' : 'limited';
    } catch (error) {
      if (error instanceof Error && /^(ERR|NOPERM)/.test(error.message)) return 'unknown';
      throw error;
    }
  });
}
