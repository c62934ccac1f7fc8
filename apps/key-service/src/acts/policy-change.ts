// Puts another policy in the place of the one that holds. In a store for production no policy may do away with dual control or with
// the second factor: that would be one approval for all that follows.

import { KeyFault, type KeyPolicy, policyForm } from '@sealpost/service';
import { z } from 'zod';
import type { OpenStore } from '../open-store.ts';
import { policyOf } from '../policy/policy.ts';
import { isInReach } from '../policy/reach.ts';
import type { Act } from './act.ts';
import { type ActName, actNames, restoreAct } from './names.ts';

const form = z.strictObject({ policy: policyForm });

export const policyChange: Act<z.output<typeof form>> = {
  form,
  requestedBy: ['key-admin'],
  describe: ({ policy }) => `put the policy ${policyOf(policy).hash} in force`,
  check: ({ policy }, { store }) => assertUsable(policy, store),
  run: ({ policy }, { store, note }) =>
    store.records.transaction(async () => {
      // People may have gone since it was checked.
      await assertUsable(policy, store);
      const { hash } = await store.policies.replace(policy);
      note({ digest: hash });
      return { hash };
    }),
};

/** Fault: `policy-unusable`. */
async function assertUsable(policy: KeyPolicy, { development, people }: OpenStore): Promise<void> {
  const { approvals, secondFactor } = policy;
  const isUnknown = Object.keys(approvals.acts).some(
    (name) => name !== restoreAct && !actNames.includes(name as ActName),
  );
  const rules = [approvals.default, ...Object.values(approvals.acts)];
  const isWeak = !secondFactor.required || rules.some(({ needed }) => needed === 0);
  if (isUnknown || (isWeak && !development) || !isInReach(policy, await people.list())) {
    throw new KeyFault('policy-unusable');
  }
}
