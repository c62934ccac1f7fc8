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
  get(name: string): Person | undefined;
  /** Somebody of this name was shut out. */
  wasRemoved(name: string): boolean;
  /** By name. */
  list(): Person[];
  /** The person with exactly this role, name and certificate. */
  known(shown: { readonly role: string; readonly name: string; readonly fingerprint: string }): Person | undefined;
  /** Fault `person-exists`: somebody has this name or this key. */
  assertFree(name: string, publicKey: KeyObject): void;
  /** Faults: as `assertFree`. */
  add(name: string, role: PersonRole, certificate: Certificate, at: Date, tenants?: readonly string[]): void;
  /** Another certificate for the same person and role; the one before opens nothing any more. Faults: `not-found`, `person-exists`. */
  renew(name: string, certificate: Certificate): void;
  /** Fault: `not-found`. */
  remove(name: string): void;
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
  const list = (): Person[] =>
    records
      .ofTenant('person', installationTenant)
      .map(read)
      .filter(({ removed }) => !removed)
      .map(parse)
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  const find = (name: string): Content => {
    const row = records.get(placeOf(name));
    const found = row && read(row);
    if (!found || found.removed) throw new KeyFault('not-found');
    return found;
  };
  const has = (name: string): boolean => list().some((person) => person.name === name);
  const write = (content: Content): void =>
    records.replace(placeOf(content.name), Buffer.from(JSON.stringify(content)));
  const assertKeyFree = (owner: string, publicKey: KeyObject): void => {
    // Two people with one key would be one person who approves himself.
    const holder = list().find(({ certificate }) => isSameKey(certificate.publicKey, publicKey));
    if (holder && holder.name !== owner) throw new KeyFault('person-exists');
  };
  const assertFree = (name: string, publicKey: KeyObject): void => {
    if (has(name)) throw new KeyFault('person-exists');
    assertKeyFree(name, publicKey);
  };
  const encoded = ({ der }: Certificate): string => der.toString('base64');

  return {
    list,
    assertFree,
    wasRemoved(name) {
      const row = records.get(placeOf(name));
      return row !== undefined && read(row).removed;
    },
    get: (name) => (has(name) ? parse(find(name)) : undefined),
    known({ role, name, fingerprint }) {
      const row = records.get(placeOf(name));
      const found = row && read(row);
      if (!found || found.removed || found.role !== role) return undefined;
      const person = parse(found);
      return person.fingerprint === fingerprint ? person : undefined;
    },
    add: (name, role, certificate, at, tenants) =>
      records.transaction(() => {
        assertFree(name, certificate.publicKey);
        const addedAt = at.toISOString();
        const scope = tenants === undefined ? {} : { tenants };
        write({ v: 1, name, role, certificate: encoded(certificate), addedAt, ...scope, removed: false });
      }),
    renew: (name, certificate) =>
      records.transaction(() => {
        const known = find(name);
        assertKeyFree(name, certificate.publicKey);
        write({ ...known, certificate: encoded(certificate) });
      }),
    remove: (name) => records.transaction(() => write({ ...find(name), removed: true })),
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
