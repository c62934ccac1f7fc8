// Questions about the audit log that only the open store can answer.

import { z } from 'zod';
import { address, nothing } from './values.ts';

export const auditOperations = {
  /** The head of the audit log and the key that signed it, to be held elsewhere. */
  'audit-head': { request: nothing, answer: z.object({ head: z.string(), key: z.string() }) },
  /** The keyed hash that stands for an address in the audit log. */
  'audit-address': {
    request: z.strictObject({ address }),
    answer: z.object({ hash: z.string(), hashes: z.array(z.string()) }),
  },
} as const;
