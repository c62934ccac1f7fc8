// Operations on the seal, which answer while the store is sealed too.

import { z } from 'zod';
import { bytes, nothing, time } from './values.ts';

/** Shares of a slot's custodians. */
const shares = z.object({ slot: z.string(), have: z.int(), need: z.int(), of: z.int() });

const status = z.object({
  sealed: z.boolean(),
  /** Why it cannot be opened, where something is wrong; `waiting` when only the secret of a slot is missing, `awaits-token`
   * while the token that opens it does not answer and is tried again. */
  reason: z
    .enum([
      'waiting',
      'awaits-token',
      'audit-tampered',
      'store-tampered',
      'slot-unreadable',
      'store-foreign',
      'policy-missing',
    ])
    .optional(),
  /** The store was once opened by the development slot; it stays marked. */
  development: z.boolean(),
  slots: z.array(z.object({ label: z.string(), kind: z.string(), createdAt: time.optional() })),
  /** One slot in production: whoever loses its secret loses every key. */
  risk: z.enum(['one-slot']).optional(),
  /** X25519 public key of this process, to which shares are sealed. */
  unsealKey: bytes(32),
  /** What custodians handed in, while the store is sealed. */
  shares: z.array(shares),
});

export const sealOperations = {
  status: { request: nothing, answer: status },
  unseal: { request: z.strictObject({ passphrase: z.string().min(1).max(1024) }), answer: status },
  'unseal-share': { request: z.strictObject({ share: bytes(128) }), answer: status },
  'unseal-reset': { request: nothing, answer: status },
  seal: { request: nothing, answer: status },
} as const;
