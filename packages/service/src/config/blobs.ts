// Section `blobs`: where sealed messages wait.

import * as z from 'zod';
import { count, path, type Section } from './values.ts';

export const blobs = z
  .strictObject({
    store: z
      .enum(['tiered', 'file', 'redis'])
      .default('tiered')
      .describe('`file`: a directory all processes share; `redis`; `tiered`: small ones in Redis, the others in files'),
    directory: path().default('/var/lib/sealpost/blobs').describe('Directory of the file store'),
    redisBelowBytes: count(0).default(32_768).describe('`tiered`: sealed messages below this size go to Redis'),
  })
  .prefault({});

export type BlobsConfig = Section<typeof blobs>;
