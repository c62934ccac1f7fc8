// Leases called back before their end: people ask for it, workers are told while their request is open, and say that it is done.

import { z } from 'zod';
import { instance, keyId, nothing, time } from './values.ts';

/** One answer's worth; the next request gets the rest. */
const maxIds = 1_024;

const holder = z.object({ name: z.string(), instance: z.string() });

export const revocationOperations = {
  /** Stays open for some seconds while there is none. `keyId` left out: every leased key. */
  revocations: {
    request: z.strictObject({ instance }),
    answer: z.object({ revocations: z.array(z.object({ id: z.string(), keyId: z.string().optional() })).max(maxIds) }),
  },
  /** The keys are gone from the worker's memory. */
  'revocation-acknowledge': {
    request: z.strictObject({ instance, ids: z.array(z.uuid()).min(1).max(maxIds) }),
    answer: z.object({}),
  },
  /** A worker that ends holds no lease any more. */
  'lease-return': { request: z.strictObject({ instance }), answer: z.object({}) },
  'lease-revoke': {
    request: z
      .strictObject({
        keyId: keyId.optional(),
        /** A process, a certificate's name or its SHA-256. */
        worker: instance.optional(),
      })
      .refine((what) => (what.keyId === undefined) !== (what.worker === undefined)),
    /** Who held such a lease and was told. */
    answer: z.object({ holders: z.array(holder) }),
  },
  'lease-list': {
    request: nothing,
    answer: z.object({
      held: z.array(holder.extend({ leases: z.number() })),
      /** Of the last five minutes; `awaited`: who has not said yet that the key is gone. */
      revoked: z.array(
        z.object({
          keyId: z.string().optional(),
          worker: z.string().optional(),
          at: time,
          awaited: z.array(holder),
        }),
      ),
    }),
  },
} as const;
