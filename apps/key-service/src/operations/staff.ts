// The people of the store: who they are, and how each sets up and shows a second factor of their own.

import { type KeyAnswer, KeyFault } from '@sealpost/service';
import type { Caller } from '../caller.ts';
import type { OpenStore } from '../open-store.ts';
import type { Person } from '../people/register.ts';
import type { Operation } from './operation.ts';

export const peopleList: Operation<'people-list'> = {
  async run(_, { store, now }) {
    const people: KeyAnswer<'people-list'>['people'] = [];
    for (const { role, name, certificate, addedAt, tenants } of await store.people.list()) {
      const { isConfirmed, lockedUntil } = await store.factors.stateOf(name);
      people.push({
        role,
        name,
        fingerprint: certificate.fingerprint,
        certificate: certificate.der,
        notAfter: certificate.notAfter,
        addedAt,
        ...(tenants === undefined ? {} : { tenants: [...tenants] }),
        secondFactor: isConfirmed,
        ...(lockedUntil && now < lockedUntil ? { lockedUntil } : {}),
      });
    }
    return { people };
  },
};

export const peopleEnrol: Operation<'people-enrol'> = {
  subject: () => ({}),
  async run(_, { store, caller, installation }) {
    const { name, role } = await knownPerson(caller, store);
    return { uri: await store.factors.enrol(name, `${role}/${name}`, `Sealpost ${installation}`) };
  },
};

export const peopleConfirm: Operation<'people-confirm'> = {
  subject: () => ({}),
  async run({ code }, { store, caller, now }) {
    const { name } = await knownPerson(caller, store);
    await store.factors.confirm(name, code, now);
    return {};
  },
};

export const peoplePresent: Operation<'people-present'> = {
  subject: () => ({}),
  async run({ code }, { store, caller, now }) {
    return { until: await store.factors.present(await knownPerson(caller, store), code, now) };
  },
};

/** Whoever calls, as the store knows them. Fault: `person-unknown`. */
export async function knownPerson(caller: Caller, { people }: OpenStore): Promise<Person> {
  const person = await people.known(caller);
  if (!person) throw new KeyFault('person-unknown');
  return person;
}
