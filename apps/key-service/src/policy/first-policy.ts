// The policy that a store begins with. A development store asks nobody, so that nothing needs a ceremony; any other asks for a second
// person and a second factor from the start. docs/key-management.md shows the one for production as the template.

import type { KeyPolicy } from '@sealpost/service';

const rotation: KeyPolicy['rotation'] = {
  // Half of the life of the certificates that the tenant's CA issues: the other half is for what was missed.
  signing: { days: 365, jitterPercent: 10 },
  decryption: { days: 365, jitterPercent: 10 },
  // What one stolen key would read.
  spool: { days: 90, jitterPercent: 10 },
};

const production: KeyPolicy = {
  version: 1,
  roles: { operator: [], 'key-admin': [], custodian: [], auditor: [] },
  duties: { create: ['operator', 'key-admin'], rotate: ['key-admin'], delete: ['key-admin'] },
  secondFactor: { required: true, minutes: 15 },
  approvals: { default: { needed: 1, by: ['key-admin', 'custodian'] }, acts: {} },
  use: { signing: 'lease', decryption: 'lease' },
  leases: { seconds: 300, perClient: 1_000_000 },
  rotation,
  // Ten years: what German commercial law asks for letters is six, for books ten.
  retentionDays: 3_650,
  destroyWindowDays: 30,
};

const development: KeyPolicy = {
  ...production,
  // One person plays them all.
  roles: { operator: ['key-admin', 'custodian', 'auditor'], 'key-admin': [], custodian: [], auditor: [] },
  secondFactor: { required: false, minutes: 15 },
  approvals: { default: { needed: 0, by: [] }, acts: {} },
  destroyWindowDays: 7,
};

export function firstPolicy(isDevelopment: boolean): KeyPolicy {
  return isDevelopment ? development : production;
}
