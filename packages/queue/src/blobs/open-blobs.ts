// The blob store that the configuration asks for.

import type { RedisLink } from '../connect-redis.ts';
import { fileBlobs } from './file-blobs.ts';
import { redisBlobs } from './redis-blobs.ts';
import type { SpoolBlobs } from './spool-blobs.ts';
import { tieredBlobs } from './tiered-blobs.ts';

/** Section `blobs` of the configuration. */
export interface BlobSettings {
  readonly store: 'tiered' | 'file' | 'redis';
  readonly directory: string;
  readonly redisBelowBytes: number;
}

/** Errors: `blob-unavailable` when the directory cannot be used. */
export async function openBlobs(settings: BlobSettings, redis: RedisLink): Promise<SpoolBlobs> {
  switch (settings.store) {
    case 'redis':
      return redisBlobs(redis);
    case 'file':
      return fileBlobs(settings.directory);
    case 'tiered':
      return tieredBlobs(redisBlobs(redis), await fileBlobs(settings.directory), settings.redisBelowBytes);
  }
}
