// Operations on the seal, which answer while the store is sealed too.

import { z } from 'zod';
import { nothing } from './values.ts';

const status = z.object({
  sealed: z.boolean(),
  /** Why it cannot be opened, where something is wrong; `waiting` when only the passphrase is missing. */
  reason: z.enum(['waiting', 'audit-tampered', 'slot-unreadable', 'store-foreign', 'policy-missing']).optional(),
  /** The store was once opened by the development slot; it stays marked. */
  development: z.boolean(),
  slots: z.array(z.string()),
});

export const sealOperations = {
  status: { request: nothing, answer: status },
  unseal: { request: z.strictObject({ passphrase: z.string().min(1).max(1024) }), answer: status },
  seal: { request: nothing, answer: status },
} as const;
