// People who work with the key service: who they are, and their second factor.

import { z } from 'zod';
import { code } from './acts.ts';
import { personRoles } from './policy.ts';
import { certificate, nothing, time } from './values.ts';

/** Lower case only: two names that differ in case would be two people to the service and one to its readers. */
export const personName = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,62}$/);

const member = z.object({
  role: z.enum(personRoles),
  name: z.string(),
  /** SHA-256 of the one certificate that this person may show. */
  fingerprint: z.string(),
  certificate,
  notAfter: time,
  addedAt: time,
  /** Works for these only; missing: for the whole installation. */
  tenants: z.array(z.string()).optional(),
  /** Whether a second factor is set up and was confirmed with a code. */
  secondFactor: z.boolean(),
  /** Codes are refused until then. */
  lockedUntil: time.optional(),
});

export const staffOperations = {
  'people-list': { request: nothing, answer: z.object({ people: z.array(member) }) },
  /** A second factor for the caller, who has none yet; told once. */
  'people-enrol': { request: nothing, answer: z.object({ uri: z.string() }) },
  /** Shows that the caller's device gives the right codes; from now on the second factor counts. */
  'people-confirm': { request: z.strictObject({ code }), answer: nothing },
  /** A code opens the caller's operations for the minutes that the policy says. */
  'people-present': { request: z.strictObject({ code }), answer: z.object({ until: time }) },
} as const;
