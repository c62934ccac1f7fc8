// The policy as the rest of the service asks it. Kept in a sealed row of its own; the form is checked again when it is read.

import { createHash } from 'node:crypto';
import type { KeyUse } from '@sealpost/core';
import {
  type ApprovalRule,
  canonicalJson,
  KeyFault,
  type KeyPolicy,
  type PersonRole,
  policyForm,
} from '@sealpost/service';
import { installationTenant } from '../authority/authority.ts';
import { type ClientRole, isPersonRole } from '../authority/service-authority.ts';
import type { Records } from '../store/records.ts';

export interface Policy {
  /** As it is stored. */
  readonly form: KeyPolicy;
  /** SHA-256 of its canonical JSON, lower-case hex. */
  readonly hash: string;
  /** What an act needs before it may be executed. */
  approvals(act: string): ApprovalRule;
  /** Whose operations somebody with this role may ask for: his own and those that the policy adds. */
  rolesOf(role: ClientRole): readonly ClientRole[];
  mayDo(duty: Duty, role: ClientRole): boolean;
  /** Authorities' keys are never lent, whatever a policy says. */
  useOf(use: KeyUse): 'lease' | 'in-place';
  readonly leaseSeconds: number;
  readonly leasesPerClient: number;
  readonly rotation: KeyPolicy['rotation'];
  readonly retentionDays: number;
  readonly destroyWindowDays: number;
}

export type Duty = keyof KeyPolicy['duties'];

export interface PolicyStore {
  /** The policy that holds now. Fault: `policy-missing`. */
  now(): Policy;
  isMissing(): boolean;
  replace(form: KeyPolicy): Promise<Policy>;
}

const place = { kind: 'policy', tenant: installationTenant, owner: '', id: 'policy' } as const;

export async function openPolicy(records: Records): Promise<PolicyStore> {
  let known = await recall(records);
  return {
    now() {
      if (!known) throw new KeyFault('policy-missing');
      return known;
    },
    isMissing: () => known === undefined,
    replace: (form) =>
      records.transaction(async () => {
        const policy = policyOf(form);
        await records.replace(place, Buffer.from(canonicalJson(form), 'utf8'));
        records.whenCommitted(() => {
          known = policy;
        });
        return policy;
      }),
  };
}

async function recall(records: Records): Promise<Policy | undefined> {
  const kept = await records.get(place);
  return kept && policyOf(policyForm.parse(JSON.parse(kept.toString('utf8'))));
}

export function policyOf(form: KeyPolicy): Policy {
  const rolesOf = (role: ClientRole): readonly ClientRole[] =>
    isPersonRole(role) ? [role, ...form.roles[role]] : [role];
  const isOneOf = (roles: readonly PersonRole[], role: ClientRole): boolean =>
    rolesOf(role).some((each) => isPersonRole(each) && roles.includes(each));
  return {
    form,
    hash: createHash('sha256').update(canonicalJson(form), 'utf8').digest('hex'),
    approvals: (act) =>
      (Object.hasOwn(form.approvals.acts, act) ? form.approvals.acts[act] : undefined) ?? form.approvals.default,
    rolesOf,
    mayDo: (duty, role) => isOneOf(form.duties[duty], role),
    useOf: (use) =>
      use === 'signing' || use === 'decryption'
        ? form.use[use]
        : use === 'ca' || use === 'backup'
          ? 'in-place'
          : 'lease',
    leaseSeconds: form.leases.seconds,
    leasesPerClient: form.leases.perClient,
    rotation: form.rotation,
    retentionDays: form.retentionDays,
    destroyWindowDays: form.destroyWindowDays,
  };
}
