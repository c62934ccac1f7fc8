// The people of the store: who they are, and how each sets up and shows a second factor of their own.

import { KeyFault } from '@sealpost/service';
import type { Caller } from '../caller.ts';
import type { OpenStore } from '../open-store.ts';
import type { Person } from '../people/register.ts';
import type { Operation } from './operation.ts';

export const peopleList: Operation<'people-list'> = {
  run: (_, { store, now }) => ({
    people: store.people.list().map(({ role, name, certificate, addedAt, tenants }) => {
      const { isConfirmed, lockedUntil } = store.factors.stateOf(name);
      return {
        role,
        name,
        fingerprint: certificate.fingerprint,
        certificate: certificate.der,
        notAfter: certificate.notAfter,
        addedAt,
        ...(tenants === undefined ? {} : { tenants: [...tenants] }),
        secondFactor: isConfirmed,
        ...(lockedUntil && now < lockedUntil ? { lockedUntil } : {}),
      };
    }),
  }),
};

export const peopleEnrol: Operation<'people-enrol'> = {
  subject: () => ({}),
  run(_, { store, caller, installation }) {
    const { name, role } = knownPerson(caller, store);
    return { uri: store.factors.enrol(name, `${role}/${name}`, `Sealpost ${installation}`) };
  },
};

export const peopleConfirm: Operation<'people-confirm'> = {
  subject: () => ({}),
  run({ code }, { store, caller, now }) {
    store.factors.confirm(knownPerson(caller, store).name, code, now);
    return {};
  },
};

export const peoplePresent: Operation<'people-present'> = {
  subject: () => ({}),
  run({ code }, { store, caller, now }) {
    return { until: store.factors.present(knownPerson(caller, store), code, now) };
  },
};

/** Whoever calls, as the store knows them. Fault: `person-unknown`. */
export function knownPerson(caller: Caller, { people }: OpenStore): Person {
  const person = people.known(caller);
  if (!person) throw new KeyFault('person-unknown');
  return person;
}
