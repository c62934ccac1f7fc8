// Sealed bytes in Redis: for small messages, and for a cluster whose processes share no volume. Keys carry no hash tag, so a
// Redis Cluster spreads them over its nodes.

import { fail, SealpostError } from '@sealpost/core';
import { bornAt } from '../born-at.ts';
import type { RedisLink } from '../connect-redis.ts';
import { toQueueError } from '../queue-error.ts';
import { checkedBlobId, type SpoolBlobs } from './spool-blobs.ts';

const prefix = 'sealpost:blob:';
const scanBatch = 1_000;
/** Each command costs the client more than the server. */
const removal = "local length = redis.call('STRLEN', KEYS[1]) redis.call('UNLINK', KEYS[1]) return length";

export interface RedisBlobs extends SpoolBlobs {
  /** Removes, and says how many bytes there were. */
  take(id: string): Promise<number>;
}

export function redisBlobs(redis: RedisLink): RedisBlobs {
  const { client } = redis;
  const keyOf = (id: string): string => `${prefix}${checkedBlobId(id)}`;

  /** Writes wait for the check of the server's settings: bytes that are not durable must not be answered for. */
  async function write<T>(work: () => Promise<T>): Promise<T> {
    return mapped(async () => {
      await redis.verified();
      return work();
    });
  }

  return {
    put: (id, bytes) =>
      write(async () => {
        await client.set(keyOf(id), bytes);
      }),
    putOnce: (id, bytes) =>
      write(async () => {
        if ((await client.set(keyOf(id), bytes, 'NX')) === 'OK') return bytes;
        const kept = await client.getBuffer(keyOf(id));
        // Removed between the two commands: whoever removed it was done with it, so the caller's next try settles it.
        if (!kept) throw fail('blob-unavailable');
        return kept;
      }),
    get: (id) => mapped(async () => (await client.getBuffer(keyOf(id))) ?? undefined),
    size: (id) => mapped(() => client.strlen(keyOf(id))),
    remove: (id) =>
      mapped(async () => {
        await client.unlink(keyOf(id));
      }),
    take: (id) => mapped(async () => Number(await client.eval(removal, 1, keyOf(id)))),
    async *olderThan(time) {
      let cursor = '0';
      do {
        const [next, keys] = await mapped(() => client.scan(cursor, 'MATCH', `${prefix}*`, 'COUNT', scanBatch));
        for (const key of keys) {
          const id = key.slice(prefix.length);
          const born = bornAt(id);
          if (born && born < time) yield id;
        }
        cursor = next;
      } while (cursor !== '0');
    },
    async close() {},
  };
}

async function mapped<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const known = toQueueError(error);
    throw known instanceof SealpostError && known.code === 'queue-unavailable'
      ? fail('blob-unavailable', error)
      : known;
  }
}
