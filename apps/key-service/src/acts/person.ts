// Who works with the key service. One person who could add another by himself would approve his own requests with that one's hand, so
// people come, go and get another key or second factor by the same dual control that they guard. Private keys never travel: a person
// makes the key at home and brings the public half.

import { KeyFault, personName, personRoles } from '@sealpost/service';
import { z } from 'zod';
import { issueClientCertificate } from '../authority/service-authority.ts';
import { personKey } from '../people/public-key.ts';
import { isInReach } from '../policy/reach.ts';
import type { Act } from './act.ts';

/** RSA-4096 takes some 550 bytes. */
const maxPublicKey = 1_024;
const publicKey = z.base64().max(Math.ceil(maxPublicKey / 3) * 4);
const keyOf = (text: string) => personKey(Buffer.from(text, 'base64'));

const added = z.strictObject({ role: z.enum(personRoles), name: personName, publicKey });
const renewed = z.strictObject({ name: personName, publicKey });
const named = z.strictObject({ name: personName });

export const personAdd: Act<z.output<typeof added>> = {
  form: added,
  requestedBy: ['key-admin'],
  describe: ({ role, name }) => `let ${name} in as ${role}`,
  subject: ({ role, name }) => ({ person: `${role}/${name}` }),
  check: ({ name, publicKey: key }, { store }) => store.people.assertFree(name, keyOf(key)),
  run({ role, name, publicKey: key }, { store, now, note }) {
    const certificate = issueClientCertificate(store.serviceAuthority, role, name, keyOf(key));
    store.people.add(name, role, certificate, now);
    // Somebody of this name may have been here before.
    store.factors.reset(name);
    note({ certificate: certificate.fingerprint });
    return { certificate: certificate.fingerprint };
  },
};

export const personRenew: Act<z.output<typeof renewed>> = {
  form: renewed,
  requestedBy: ['key-admin'],
  describe: ({ name }) => `give ${name} a certificate for another key; the one before opens nothing any more`,
  subject: ({ name }, { people }) => ({ person: `${people.get(name)?.role ?? 'none'}/${name}` }),
  check({ name, publicKey: key }, { store }) {
    keyOf(key);
    if (!store.people.get(name)) throw new KeyFault('not-found');
  },
  run({ name, publicKey: key }, { store, note }) {
    const person = store.people.get(name);
    if (!person) throw new KeyFault('not-found');
    const certificate = issueClientCertificate(store.serviceAuthority, person.role, name, keyOf(key));
    store.people.renew(name, certificate);
    note({ certificate: certificate.fingerprint });
    return { certificate: certificate.fingerprint };
  },
};

export const personRemove: Act<z.output<typeof named>> = {
  form: named,
  requestedBy: ['key-admin'],
  describe: ({ name }) => `shut ${name} out`,
  subject: ({ name }, { people }) => ({ person: `${people.get(name)?.role ?? 'none'}/${name}` }),
  check({ name }, { store }) {
    if (!store.people.get(name)) throw new KeyFault('not-found');
    const others = store.people.list().filter((person) => person.name !== name);
    if (!isInReach(store.policy().form, others)) throw new KeyFault('last-approvers');
  },
  run({ name }, { store }) {
    store.people.remove(name);
    store.factors.reset(name);
    return {};
  },
};

export const factorReset: Act<z.output<typeof named>> = {
  form: named,
  requestedBy: ['key-admin'],
  describe: ({ name }) => `forget the second factor of ${name}, who then sets up another`,
  subject: ({ name }, { people }) => ({ person: `${people.get(name)?.role ?? 'none'}/${name}` }),
  check({ name }, { store }) {
    if (!store.people.get(name)) throw new KeyFault('not-found');
  },
  run({ name }, { store }) {
    store.factors.reset(name);
    return {};
  },
};
