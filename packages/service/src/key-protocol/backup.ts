// Backups that the running service makes of its store.

import { z } from 'zod';
import { nothing, time } from './values.ts';

export const backupOperations = {
  /** Writes one to the configured directory, sealed to the configured quorum. `head`: the audit log's when the copy was made. */
  'backup-make': {
    request: nothing,
    answer: z.object({ file: z.string(), bytes: z.number(), sha256: z.string(), createdAt: time, head: z.string() }),
  },
} as const;
