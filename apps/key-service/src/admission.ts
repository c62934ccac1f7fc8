// Whether a caller may ask for an operation: by the table and the policy, and for people by the store's register and the second
// factor too. Judged before a request's body is read.

import type { KeyFaultCode, KeyOperation } from '@sealpost/service';
import { isPersonRole } from './authority/service-authority.ts';
import type { Caller } from './caller.ts';
import type { OpenStore } from './open-store.ts';
import { confinable, duties, permissions, withoutCode } from './permissions.ts';
import { firstPolicy } from './policy/first-policy.ts';
import { type Policy, policyOf } from './policy/policy.ts';

/** While it is sealed, register and policy cannot be read, and what needs them is refused later anyway. */
type Door = { readonly now: Date } & (
  | { readonly store: OpenStore }
  | { readonly store: undefined; readonly development: boolean }
);

/** The reason to refuse, if there is one. */
export async function refusal(operation: KeyOperation, caller: Caller, door: Door): Promise<KeyFaultCode | undefined> {
  if (!isPersonRole(caller.role)) return permissions[operation].includes(caller.role) ? undefined : 'forbidden';
  const { store, now } = door;
  const policy = door.store ? door.store.policy() : policyOf(firstPolicy(door.development));
  if (!isPermitted(operation, caller, policy)) return 'forbidden';
  if (!store) return undefined;
  const person = await store.people.known(caller);
  if (!person) return 'person-unknown';
  if (person.tenants && !confinable.includes(operation)) return 'forbidden';
  if (!store.policy().form.secondFactor.required || withoutCode.includes(operation)) return undefined;
  if (await store.factors.isPresent(caller, now)) return undefined;
  return (await store.factors.stateOf(caller.name)).isConfirmed ? 'second-factor-needed' : 'second-factor-missing';
}

function isPermitted(operation: KeyOperation, { role }: Caller, policy: Policy): boolean {
  const duty = duties[operation];
  const isInTable = policy.rolesOf(role).some((each) => permissions[operation].includes(each));
  return isInTable && (duty === undefined || policy.mayDo(duty, role));
}
