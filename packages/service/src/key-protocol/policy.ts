// The key service's policy: who may do what beyond the fixed table, what one person alone may not do, how keys are used, and how
// long they live. The store keeps it sealed; it changes by a request that others approve.

import { z } from 'zod';
import { nothing } from './values.ts';

/** Roles of people, as their certificates name them. */
export const personRoles = ['operator', 'key-admin', 'custodian', 'auditor'] as const;
export type PersonRole = (typeof personRoles)[number];

/** Who may approve: no service, nobody who only reads, nobody who does the daily work. */
const approverRoles = ['key-admin', 'custodian'] as const;

const role = z.enum(personRoles);
const distinct = <T extends z.ZodType<string>>(item: T) =>
  z
    .array(item)
    .max(personRoles.length)
    .refine((all) => new Set(all).size === all.length, 'names something twice');

const approvalRule = z
  .strictObject({
    /** How many others must approve; 0 lets the requester go on alone. */
    needed: z.int().min(0).max(10),
    by: distinct(z.enum(approverRoles)),
  })
  .refine(({ needed, by }) => needed === 0 || by.length > 0, 'asks for approvals by nobody');
export type ApprovalRule = z.output<typeof approvalRule>;

/** The name of an act, as `act-request` takes it. */
export const actName = z
  .string()
  .regex(/^[a-z]+(-[a-z]+)*$/)
  .max(40);

const useOfKeys = z.enum(['lease', 'in-place']);

const rotation = z.strictObject({
  /** Age at which a key is replaced; null: only when somebody asks. */
  days: z.int().min(1).max(3_650).nullable(),
  /** Spreads keys that were made on one day: each is replaced up to this share of the period earlier. */
  jitterPercent: z.int().min(0).max(50),
});

export const policyForm = z.strictObject({
  version: z.literal(1),
  /** Whose operations each role has beside its own. */
  roles: z.strictObject({
    operator: distinct(role),
    'key-admin': distinct(role),
    custodian: distinct(role),
    auditor: distinct(role),
  }),
  /** Who may make and bring in keys, replace them, and take them out of use. Narrows the table, never widens it. */
  duties: z.strictObject({ create: distinct(role), rotate: distinct(role), delete: distinct(role) }),
  secondFactor: z.strictObject({
    required: z.boolean(),
    /** How long a person who showed a code may work on; each approval takes a code of its own all the same. */
    minutes: z.int().min(1).max(60),
  }),
  approvals: z.strictObject({
    /** For every act that is not named below. */
    default: approvalRule,
    acts: z.record(actName, approvalRule),
  }),
  /** Whether keys may be lent to workers or are used inside the service only. Authorities' keys are never lent. */
  use: z.strictObject({ signing: useOfKeys, decryption: useOfKeys }),
  /** Tightens the configuration, never loosens it. */
  leases: z.strictObject({ seconds: z.int().min(60).max(300), perClient: z.int().min(1).max(1_000_000) }),
  rotation: z.strictObject({ signing: rotation, decryption: rotation, spool: rotation }),
  /** How long a decryption key stays readable after its last certificate ended. */
  retentionDays: z.int().min(0).max(36_500),
  /** Between the order to destroy a key and its end; until then the order can be taken back (NIST SP 800-57 has no number). */
  destroyWindowDays: z.int().min(7).max(30),
});

export type KeyPolicy = z.output<typeof policyForm>;

export const policyOperations = {
  'policy-show': {
    request: nothing,
    /** `hash`: SHA-256 of the policy's canonical JSON, as it stands in the audit log. */
    answer: z.object({ policy: policyForm, hash: z.string() }),
  },
} as const;
