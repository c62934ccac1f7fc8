// Who works with the key service. One person who could add another by himself would approve his own requests with that one's hand, so
// people come, go and get another key or second factor by the same dual control that they guard. Private keys never travel: a person
// makes the key at home and brings the public half.

import { KeyFault, personName, personRoles } from '@sealpost/service';
import { z } from 'zod';
import { issueClientCertificate } from '../authority/service-authority.ts';
import type { OpenStore } from '../open-store.ts';
import type { AuditSubject } from '../operations/operation.ts';
import { personKey } from '../people/public-key.ts';
import { isInReach } from '../policy/reach.ts';
import type { Act } from './act.ts';

/** RSA-4096 takes some 550 bytes. */
const maxPublicKey = 1_024;
const publicKey = z.base64().max(Math.ceil(maxPublicKey / 3) * 4);
const keyOf = (text: string) => personKey(Buffer.from(text, 'base64'));

const added = z
  .strictObject({
    role: z.enum(personRoles),
    name: personName,
    publicKey,
    /** Works for these tenants only. */
    tenants: z.array(z.string()).min(1).max(1_000).optional(),
  })
  // Who requests, approves or audits does so for the whole installation.
  .refine(({ role, tenants }) => tenants === undefined || role === 'operator');
const renewed = z.strictObject({ name: personName, publicKey });
const named = z.strictObject({ name: personName });

export const personAdd: Act<z.output<typeof added>> = {
  form: added,
  requestedBy: ['key-admin'],
  describe: ({ role, name, tenants }) => `let ${name} in as ${role}${tenants ? ` for ${tenants.join(', ')} only` : ''}`,
  subject: ({ role, name }) => ({ person: `${role}/${name}` }),
  async check({ name, publicKey: key, tenants }, call) {
    await call.store.people.assertFree(name, keyOf(key));
    if (tenants?.some((tenant) => call.tenants.every(({ id }) => id !== tenant))) throw new KeyFault('not-found');
  },
  async run({ role, name, publicKey: key, tenants }, { store, now, note }) {
    const certificate = await issueClientCertificate(store.serviceAuthority, role, name, keyOf(key));
    await store.records.transaction(async () => {
      await store.people.add(name, role, certificate, now, tenants);
      // Somebody of this name may have been here before.
      await store.factors.reset(name);
    });
    note({ certificate: certificate.fingerprint });
    return { certificate: certificate.fingerprint };
  },
};

export const personRenew: Act<z.output<typeof renewed>> = {
  form: renewed,
  requestedBy: ['key-admin'],
  describe: ({ name }) => `give ${name} a certificate for another key; the one before opens nothing any more`,
  subject: ({ name }, store) => personOf(name, store),
  async check({ name, publicKey: key }, { store }) {
    keyOf(key);
    if (!(await store.people.get(name))) throw new KeyFault('not-found');
  },
  run: ({ name, publicKey: key }, { store, note }) =>
    store.records.transaction(async () => {
      const person = await store.people.get(name);
      if (!person) throw new KeyFault('not-found');
      const certificate = await issueClientCertificate(store.serviceAuthority, person.role, name, keyOf(key));
      await store.people.renew(name, certificate);
      note({ certificate: certificate.fingerprint });
      return { certificate: certificate.fingerprint };
    }),
};

export const personRemove: Act<z.output<typeof named>> = {
  form: named,
  requestedBy: ['key-admin'],
  describe: ({ name }) => `shut ${name} out`,
  subject: ({ name }, store) => personOf(name, store),
  check: ({ name }, { store }) => assertRemovable(name, store),
  run: ({ name }, { store }) =>
    store.records.transaction(async () => {
      // Somebody else may have been shut out since it was checked.
      await assertRemovable(name, store);
      await store.people.remove(name);
      await store.factors.reset(name);
      return {};
    }),
};

export const factorReset: Act<z.output<typeof named>> = {
  form: named,
  requestedBy: ['key-admin'],
  describe: ({ name }) => `forget the second factor of ${name}, who then sets up another`,
  subject: ({ name }, store) => personOf(name, store),
  async check({ name }, { store }) {
    if (!(await store.people.get(name))) throw new KeyFault('not-found');
  },
  async run({ name }, { store }) {
    await store.factors.reset(name);
    return {};
  },
};

/** Faults: `not-found`, `last-approvers`. */
async function assertRemovable(name: string, { people, policy }: OpenStore): Promise<void> {
  const all = await people.list();
  const others = all.filter((person) => person.name !== name);
  if (others.length === all.length) throw new KeyFault('not-found');
  if (!isInReach(policy().form, others)) throw new KeyFault('last-approvers');
}

async function personOf(name: string, { people }: OpenStore): Promise<AuditSubject> {
  return { person: `${(await people.get(name))?.role ?? 'none'}/${name}` };
}
