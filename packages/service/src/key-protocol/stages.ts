// What the stages ask for: certificates of their ticket keys, spool keys, leases; and the operator's release of what was set aside.

import { z } from 'zod';
import {
  bytes,
  certificate,
  ephemeral,
  instance,
  keyId,
  maxEnvelope,
  maxLeases,
  maxTicket,
  nothing,
  sealedKey,
  stage,
  tenant,
  time,
} from './values.ts';

const justified = { keyId, ticket: bytes(maxTicket), envelope: bytes(maxEnvelope) };

export const stageOperations = {
  'ticket-certificate': {
    request: z.strictObject({ instance, publicKey: bytes(128) }),
    answer: z.object({ certificate, notAfter: time }),
  },
  authorities: { request: nothing, answer: z.object({ certificates: z.array(certificate) }) },
  'spool-public-key': {
    request: z.strictObject({ tenant, stage }),
    answer: z.object({ keyId: z.string(), publicKey: bytes(128) }),
  },
  'spool-private-key': { request: z.strictObject({ instance, keyId, ephemeral }), answer: sealedKey },
  'marker-keys': {
    request: z.strictObject({ instance, tenant, ephemeral }),
    answer: z.object({ keys: z.array(sealedKey) }),
  },
  lease: {
    request: z.strictObject({ instance, ephemeral, ...justified }),
    answer: sealedKey,
  },
  /** Several leases at once, each judged, recorded and refused by itself: in the order of the request a key or a code. */
  leases: {
    request: z.strictObject({
      instance,
      ephemeral,
      items: z
        .array(z.strictObject({ ...justified, traceparent: z.string().max(64).optional() }))
        .min(1)
        .max(maxLeases),
    }),
    answer: z.object({ leases: z.array(z.object({ lease: sealedKey.optional(), code: z.string().optional() })) }),
  },

  'release-ticket': {
    /** `message`: the one that the operator means; the ticket comes from Redis, and whoever writes there could show another's. */
    request: z.strictObject({ message: z.string().max(80), ticket: bytes(maxTicket) }),
    answer: z.object({ ticket: bytes(maxTicket) }),
  },
} as const;
