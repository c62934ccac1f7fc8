// Whether people can still do what the policy asks for: where too few could approve, nobody could ever change that again.

import type { KeyPolicy, PersonRole } from '@sealpost/service';

interface Somebody {
  readonly name: string;
  readonly role: PersonRole;
}

/** For every rule there is a key-admin who can request, and beside that one as many approvers as it needs. */
export function isInReach({ approvals }: KeyPolicy, people: readonly Somebody[]): boolean {
  const rules = [approvals.default, ...Object.values(approvals.acts)].filter(({ needed }) => needed > 0);
  return rules.every(({ needed, by }) =>
    people.some((requester) => {
      const others = people.filter(({ name, role }) => name !== requester.name && by.some((each) => each === role));
      return requester.role === 'key-admin' && others.length >= needed;
    }),
  );
}
