// Who may do what: every operation with the roles that may ask for it. What is not listed is refused. A test asks for each
// operation with each role and holds the answers against this table; docs/key-management.md shows the same one.

import type { KeyOperation } from '@sealpost/service';
import type { ClientRole } from './authority/service-authority.ts';

export const permissions: Readonly<Record<KeyOperation, readonly ClientRole[]>> = {
  status: ['ingress', 'crypto-worker', 'egress', 'operator'],
  unseal: ['operator'],
  seal: ['operator'],

  'ticket-certificate': ['ingress', 'crypto-worker', 'egress'],
  authorities: ['ingress', 'crypto-worker', 'egress', 'operator'],
  'spool-public-key': ['ingress', 'crypto-worker', 'egress'],
  // Each of its own stage only: see operations/spool.ts.
  'spool-private-key': ['crypto-worker', 'egress'],
  'marker-keys': ['egress'],
  lease: ['crypto-worker'],
  sign: ['crypto-worker'],
  'open-recipient': ['crypto-worker'],
  leases: ['crypto-worker'],

  certificates: ['crypto-worker', 'operator'],
  'trust-anchors': ['crypto-worker', 'operator'],

  'release-ticket': ['operator'],
  'identity-add': ['operator'],
  'identity-list': ['operator'],
  'identity-show': ['operator'],
  import: ['operator'],
  'trust-add': ['operator'],
  'trust-list': ['operator'],

  'audit-head': ['operator'],
  'audit-address': ['operator'],
};

export function isPermitted(operation: KeyOperation, role: ClientRole): boolean {
  return permissions[operation].includes(role);
}
