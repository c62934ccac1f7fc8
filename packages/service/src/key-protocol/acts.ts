// Dual control: what one person alone may not do is requested, approved by others, and then executed by who requested it.

import { z } from 'zod';
import { actName, personRoles } from './policy.ts';
import { bytes, nothing, time } from './values.ts';

const id = z.uuid();
const hash = z.string().regex(/^[0-9a-f]{64}$/);
/** A code of the second factor: six digits and nothing else, no spaces to be trimmed. */
export const code = z.string().regex(/^[0-9]{6}$/);
/** ECDSA in DER, Ed25519, or RSA up to 4096 bits. */
const signature = bytes(512);

const person = z.object({ role: z.enum(personRoles), name: z.string() });

const request = z.object({
  id,
  act: z.string(),
  /** What would be done, in one line. */
  summary: z.string(),
  reason: z.string(),
  requester: person,
  requestedAt: time,
  expiresAt: time,
  /** SHA-256 of the canonical request. */
  hash,
  state: z.enum(['pending', 'refused', 'executed', 'expired']),
  needed: z.int(),
  by: z.array(z.enum(personRoles)),
  approvals: z.array(person.extend({ at: time })),
  /** Who refused or withdrew it. */
  refusedBy: person.optional(),
  /** `ok` or a code; missing while it runs, and for ever if the service ended meanwhile. */
  outcome: z.string().optional(),
});

/** The canonical request (RFC 8785), which approvers sign: act, parameters, summary, reason, requester, times. */
const shown = request.extend({ canonical: z.string() });

export const actOperations = {
  'act-request': {
    request: z.strictObject({
      act: actName,
      /** As the act's own form says; bytes in base64. */
      params: z.record(z.string(), z.json()),
      reason: z.string().min(1).max(500),
    }),
    answer: shown,
  },
  'act-list': { request: nothing, answer: z.object({ requests: z.array(request) }) },
  'act-show': { request: z.strictObject({ id }), answer: shown },
  'act-approve': { request: z.strictObject({ id, hash, signature, code: code.optional() }), answer: request },
  /** By somebody who could approve it, or by the requester, who withdraws it. */
  'act-refuse': { request: z.strictObject({ id }), answer: request },
  'act-execute': { request: z.strictObject({ id }), answer: z.object({ id, act: z.string(), result: z.json() }) },
} as const;
