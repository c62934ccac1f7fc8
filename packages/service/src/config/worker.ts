// Section `worker`: how much a crypto worker does at a time.

import * as z from 'zod';
import { count, type Section } from './values.ts';

export const worker = z
  .strictObject({
    concurrency: count(1, 64)
      .default(4)
      .describe('Messages that one process has in hand; the work itself is one processor core per process'),
  })
  .prefault({});

export type WorkerConfig = Section<typeof worker>;
