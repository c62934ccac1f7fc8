// The people whom the store knows. A person has one name, one role and one certificate; any other certificate in that name opens
// nothing, also one that the service CA signed and that has not expired. Names are people: nobody counts twice under two roles.

import { createPublicKey, type KeyObject } from 'node:crypto';
import { KeyFault, type PersonRole } from '@sealpost/service';
import type { Certificate } from '@sealpost/smime';
import { installationTenant } from '../authority/authority.ts';
import type { Records } from '../store/records.ts';

export interface Person {
  readonly name: string;
  readonly role: PersonRole;
  /** SHA-256 of the certificate, lower-case hex. */
  readonly fingerprint: string;
  readonly notAfter: Date;
  /** Verifies this person's approvals. */
  readonly publicKey: KeyObject;
  readonly addedAt: Date;
}

export interface People {
  get(name: string): Person | undefined;
  list(): Person[];
  /** The person with exactly this role, name and certificate. */
  known(shown: { readonly role: string; readonly name: string; readonly fingerprint: string }): Person | undefined;
  /** Fault `person-exists`: somebody has this name or this key. */
  add(name: string, role: PersonRole, certificate: Certificate, at: Date): void;
  /** Another certificate for the same person and role, who may not have it from somebody else. Fault: `person-exists`. */
  renew(name: string, certificate: Certificate): void;
  remove(name: string): void;
}

interface Content {
  readonly v: 1;
  readonly name: string;
  readonly role: PersonRole;
  readonly fingerprint: string;
  readonly notAfter: string;
  /** SPKI, base64. */
  readonly publicKey: string;
  readonly addedAt: string;
  /** Set once; the row stays, so that the name's history can be told. */
  readonly removed: boolean;
}

export function openPeople(records: Records): People {
  const read = (bytes: Buffer): Content => JSON.parse(bytes.toString('utf8')) as Content;
  const present = (): Content[] =>
    records
      .ofTenant('person', installationTenant)
      .map(read)
      .filter(({ removed }) => !removed);
  const find = (name: string): Content | undefined => {
    const row = records.get(placeOf(name));
    const found = row && read(row);
    return found?.removed ? undefined : found;
  };
  const write = (content: Content): void =>
    records.replace(placeOf(content.name), Buffer.from(JSON.stringify(content)));
  const assertFree = (spki: string, owner: string): void => {
    // Two people with one key would be one person who approves himself.
    if (present().some(({ publicKey, name }) => publicKey === spki && name !== owner)) {
      throw new KeyFault('person-exists');
    }
  };

  return {
    get(name) {
      const found = find(name);
      return found && parse(found);
    },
    list: () =>
      present()
        .map(parse)
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
    known({ role, name, fingerprint }) {
      const found = find(name);
      return found?.role === role && found.fingerprint === fingerprint ? parse(found) : undefined;
    },
    add: (name, role, certificate, at) =>
      records.transaction(() => {
        const publicKey = spkiOf(certificate);
        if (find(name)) throw new KeyFault('person-exists');
        assertFree(publicKey, name);
        const { fingerprint, notAfter } = certificate;
        write({
          v: 1,
          name,
          role,
          fingerprint,
          notAfter: notAfter.toISOString(),
          publicKey,
          addedAt: at.toISOString(),
          removed: false,
        });
      }),
    renew: (name, certificate) =>
      records.transaction(() => {
        const known = find(name);
        if (!known) throw new KeyFault('not-found');
        const publicKey = spkiOf(certificate);
        assertFree(publicKey, name);
        const { fingerprint, notAfter } = certificate;
        write({ ...known, fingerprint, notAfter: notAfter.toISOString(), publicKey });
      }),
    remove: (name) =>
      records.transaction(() => {
        const known = find(name);
        if (!known) throw new KeyFault('not-found');
        write({ ...known, removed: true });
      }),
  };
}

function placeOf(name: string) {
  return { kind: 'person', tenant: installationTenant, owner: name, id: name } as const;
}

function spkiOf({ publicKey }: Certificate): string {
  return publicKey.export({ format: 'der', type: 'spki' }).toString('base64');
}

function parse({ name, role, fingerprint, notAfter, publicKey, addedAt }: Content): Person {
  return {
    name,
    role,
    fingerprint,
    notAfter: new Date(notAfter),
    publicKey: createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' }),
    addedAt: new Date(addedAt),
  };
}
