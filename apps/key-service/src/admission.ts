// Whether a caller may ask for an operation: by the table and the policy, and for people by the store's register and the second
// factor too. Judged before a request's body is read.

import type { KeyFaultCode, KeyOperation } from '@sealpost/service';
import { isPersonRole } from './authority/service-authority.ts';
import type { Caller } from './caller.ts';
import type { OpenStore } from './open-store.ts';
import { confinable, duties, permissions, withoutCode } from './permissions.ts';
import { firstPolicy } from './policy/first-policy.ts';
import { type Policy, policyOf } from './policy/policy.ts';

interface Door {
  /** Undefined while it is sealed: then register and policy cannot be read, and what needs them is refused later anyway. */
  readonly store: OpenStore | undefined;
  readonly development: boolean;
  readonly now: Date;
}

/** The reason to refuse, if there is one. */
export function refusal(operation: KeyOperation, caller: Caller, door: Door): KeyFaultCode | undefined {
  if (!isPersonRole(caller.role)) return permissions[operation].includes(caller.role) ? undefined : 'forbidden';
  const { store, development, now } = door;
  if (!isPermitted(operation, caller, store?.policy() ?? policyOf(firstPolicy(development)))) return 'forbidden';
  if (!store) return undefined;
  const person = store.people.known(caller);
  if (!person) return 'person-unknown';
  if (person.tenants && !confinable.includes(operation)) return 'forbidden';
  if (!store.policy().form.secondFactor.required || withoutCode.includes(operation)) return undefined;
  if (store.factors.isPresent(caller.fingerprint, now)) return undefined;
  return store.factors.stateOf(caller.name).isConfirmed ? 'second-factor-needed' : 'second-factor-missing';
}

function isPermitted(operation: KeyOperation, { role }: Caller, policy: Policy): boolean {
  const duty = duties[operation];
  const isInTable = policy.rolesOf(role).some((each) => permissions[operation].includes(each));
  return isInTable && (duty === undefined || policy.mayDo(duty, role));
}
