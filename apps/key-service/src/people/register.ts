// The people whom the store knows. A person has one name, one role and one certificate; any other certificate in that name opens
// nothing, also one that the service CA signed and that has not expired. Names are people: nobody counts twice under two roles.

import type { KeyObject } from 'node:crypto';
import { KeyFault, type PersonRole } from '@sealpost/service';
import { type Certificate, certificateFromDer } from '@sealpost/smime';
import { installationTenant } from '../authority/authority.ts';
import type { Records } from '../store/records.ts';
import { isSameKey } from './public-key.ts';

export interface Person {
  readonly name: string;
  readonly role: PersonRole;
  readonly certificate: Certificate;
  /** SHA-256 of the certificate, lower-case hex. */
  readonly fingerprint: string;
  readonly addedAt: Date;
  /** Works for these tenants only; undefined: for the whole installation. */
  readonly tenants?: readonly string[];
}

export interface People {
  get(name: string): Promise<Person | undefined>;
  /** Somebody of this name was shut out. */
  wasRemoved(name: string): Promise<boolean>;
  /** By name. */
  list(): Promise<Person[]>;
  /** The person with exactly this role, name and certificate. */
  known(shown: {
    readonly role: string;
    readonly name: string;
    readonly fingerprint: string;
  }): Promise<Person | undefined>;
  /** Fault `person-exists`: somebody has this name or this key. */
  assertFree(name: string, publicKey: KeyObject): Promise<void>;
  /** Faults: as `assertFree`. */
  add(name: string, role: PersonRole, certificate: Certificate, at: Date, tenants?: readonly string[]): Promise<void>;
  /** Another certificate for the same person and role; the one before opens nothing any more. Faults: `not-found`, `person-exists`. */
  renew(name: string, certificate: Certificate): Promise<void>;
  /** Fault: `not-found`. */
  remove(name: string): Promise<void>;
}

interface Content {
  readonly v: 1;
  readonly name: string;
  readonly role: PersonRole;
  /** DER, base64. */
  readonly certificate: string;
  readonly addedAt: string;
  readonly tenants?: readonly string[];
  /** Set once; the row stays until the name is given again. */
  readonly removed: boolean;
}

export function openPeople(records: Records): People {
  const find = async (name: string): Promise<Content | undefined> => {
    const row = await records.get(placeOf(name));
    return row && read(row);
  };
  const standing = async (name: string): Promise<Content> => {
    const found = await find(name);
    if (!found || found.removed) throw new KeyFault('not-found');
    return found;
  };
  const list = async (): Promise<Person[]> =>
    (await records.ofTenant('person', installationTenant))
      .map(read)
      .filter(({ removed }) => !removed)
      .map(parse)
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  const write = (content: Content): Promise<void> =>
    records.replace(placeOf(content.name), Buffer.from(JSON.stringify(content)));
  const assertKeyFree = async (owner: string, publicKey: KeyObject): Promise<void> => {
    // Two people with one key would be one person who approves himself.
    const holder = (await list()).find(({ certificate }) => isSameKey(certificate.publicKey, publicKey));
    if (holder && holder.name !== owner) throw new KeyFault('person-exists');
  };
  const assertFree = async (name: string, publicKey: KeyObject): Promise<void> => {
    const found = await find(name);
    if (found && !found.removed) throw new KeyFault('person-exists');
    await assertKeyFree(name, publicKey);
  };
  const encoded = ({ der }: Certificate): string => der.toString('base64');

  return {
    list,
    assertFree,
    wasRemoved: async (name) => (await find(name))?.removed ?? false,
    async get(name) {
      const found = await find(name);
      return found && !found.removed ? parse(found) : undefined;
    },
    async known({ role, name, fingerprint }) {
      const found = await find(name);
      if (!found || found.removed || found.role !== role) return undefined;
      const person = parse(found);
      return person.fingerprint === fingerprint ? person : undefined;
    },
    add: (name, role, certificate, at, tenants) =>
      records.transaction(async () => {
        await assertFree(name, certificate.publicKey);
        const addedAt = at.toISOString();
        const scope = tenants === undefined ? {} : { tenants };
        await write({ v: 1, name, role, certificate: encoded(certificate), addedAt, ...scope, removed: false });
      }),
    renew: (name, certificate) =>
      records.transaction(async () => {
        const known = await standing(name);
        await assertKeyFree(name, certificate.publicKey);
        await write({ ...known, certificate: encoded(certificate) });
      }),
    remove: (name) => records.transaction(async () => await write({ ...(await standing(name)), removed: true })),
  };
}

function placeOf(name: string) {
  return { kind: 'person', tenant: installationTenant, owner: name, id: name } as const;
}

function read(row: Buffer): Content {
  return JSON.parse(row.toString('utf8')) as Content;
}

function parse({ name, role, certificate: encoded, addedAt, tenants }: Content): Person {
  const certificate = certificateFromDer(Buffer.from(encoded, 'base64'));
  const scope = tenants === undefined ? {} : { tenants };
  return { name, role, certificate, fingerprint: certificate.fingerprint, addedAt: new Date(addedAt), ...scope };
}
