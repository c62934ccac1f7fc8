// Who may do what: every operation with the roles that may ask for it. What is not listed is refused. A test asks for each
// operation with each role and holds the answers against this table; docs/key-management.md shows the same one.

import type { KeyOperation } from '@sealpost/service';
import type { ClientRole } from './authority/service-authority.ts';
import type { Duty } from './policy/policy.ts';

const people = ['operator', 'key-admin', 'custodian', 'auditor'] as const;
/** Everybody but those who only read. */
const acting = ['operator', 'key-admin', 'custodian'] as const;

export const permissions: Readonly<Record<KeyOperation, readonly ClientRole[]>> = {
  status: ['ingress', 'crypto-worker', 'egress', ...people],
  unseal: acting,
  'unseal-share': acting,
  'unseal-reset': acting,
  seal: acting,

  'ticket-certificate': ['ingress', 'crypto-worker', 'egress'],
  authorities: ['ingress', 'crypto-worker', 'egress', ...people],
  'spool-public-key': ['ingress', 'crypto-worker', 'egress'],
  // Each of its own stage only: see operations/spool.ts.
  'spool-private-key': ['crypto-worker', 'egress'],
  'marker-keys': ['egress'],
  lease: ['crypto-worker'],
  sign: ['crypto-worker'],
  'open-recipient': ['crypto-worker'],
  revocations: ['crypto-worker'],
  'revocation-acknowledge': ['crypto-worker'],
  'lease-return': ['crypto-worker'],
  'lease-revoke': ['key-admin'],
  'lease-list': ['operator', 'key-admin', 'auditor'],
  leases: ['crypto-worker'],

  certificates: ['crypto-worker', 'operator', 'key-admin'],
  'trust-anchors': ['crypto-worker', 'operator', 'key-admin'],

  'release-ticket': ['operator'],
  'identity-add': ['operator', 'key-admin'],
  'identity-list': ['operator', 'key-admin', 'auditor'],
  'identity-show': ['operator', 'key-admin'],
  import: ['key-admin'],
  'keys-add-token': ['key-admin'],
  'trust-add': ['operator'],
  'trust-list': ['operator', 'key-admin', 'auditor'],

  'audit-head': people,
  'audit-address': ['auditor'],

  'backup-make': ['operator', 'key-admin'],

  'policy-show': people,
  'people-list': people,
  'people-enrol': people,
  'people-confirm': people,
  'people-present': people,
  // Which act each role may request is the act's own table; whom the policy lets approve it, the policy's.
  'act-request': acting,
  'act-list': people,
  'act-show': people,
  'act-approve': ['key-admin', 'custodian'],
  'act-refuse': acting,
  'act-execute': acting,

  'kek-list': ['operator', 'key-admin', 'custodian', 'auditor'],
  'keys-list': ['operator', 'key-admin', 'auditor'],
  'keys-show': ['operator', 'key-admin', 'auditor'],
  'keys-rotate': ['key-admin'],
  'keys-csr': ['key-admin'],
  'keys-suspend': ['operator', 'key-admin'],
  'keys-resume': ['key-admin'],
  'keys-deactivate': ['key-admin'],
  'keys-compromise': ['operator', 'key-admin'],
  'keys-destroy-cancel': ['key-admin'],
};

/** Operations that the policy's duties narrow further. */
export const duties: Readonly<Partial<Record<KeyOperation, Duty>>> = {
  'identity-add': 'create',
  import: 'create',
  'keys-add-token': 'create',
  'keys-rotate': 'rotate',
  'keys-deactivate': 'delete',
  'keys-destroy-cancel': 'delete',
};

/**
 * What people may do without having shown a code: read, set up their factor, and what must work in an emergency (unsealing takes a
 * secret of its own, sealing and refusing only ever close). An approval takes a code of its own.
 */
export const withoutCode: readonly KeyOperation[] = [
  'status',
  'unseal',
  'unseal-share',
  'unseal-reset',
  'seal',
  'authorities',
  'certificates',
  'trust-anchors',
  'identity-list',
  'identity-show',
  'trust-list',
  'lease-list',
  'audit-head',
  'policy-show',
  'kek-list',
  'keys-list',
  'keys-show',
  'lease-list',
  // Made by a timer; what comes out is sealed to the quorum.
  'backup-make',
  'people-list',
  'people-enrol',
  'people-confirm',
  'people-present',
  'act-list',
  'act-show',
  'act-approve',
  'act-refuse',
];

/**
 * What a person of some tenants may ask for: it names its tenant, or takes it from those that
 * the call is given. Everything else would reach beyond.
 */
export const confinable: readonly KeyOperation[] = [
  'status',
  'authorities',
  'certificates',
  'trust-anchors',
  'release-ticket',
  'identity-add',
  'identity-list',
  'identity-show',
  'import',
  'trust-add',
  'trust-list',
  'keys-show',
  'keys-rotate',
  'keys-csr',
  'keys-suspend',
  'keys-resume',
  'audit-head',
  'policy-show',
  'people-enrol',
  'people-confirm',
  'people-present',
];
