// The installation's own CA: mTLS certificates of services and operators, the key service's server certificate, and the
// certificates of ticket keys. What a certificate is for stands in its one URI and its purpose; neither passes for another.

import type { KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import { type ServiceRole, TICKET_PURPOSE } from '@sealpost/core';
import { type PersonRole, personRoles } from '@sealpost/service';
import type { Certificate } from '@sealpost/smime';
import {
  type Authority,
  type AuthorityName,
  type AuthorityStores,
  ensureAuthority,
  installationTenant,
} from './authority.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** A process renews its ticket key well before; a stolen one is of use no longer than this. */
const ticketLifeMs = 12 * hourMs;
/** `init` renews credentials in their last third. */
const credentialLifeMs = 365 * dayMs;

/** Who connects to the key service, and how its certificate's URI says so. */
export type ClientRole = Exclude<ServiceRole, 'key-service'> | PersonRole;

export function isPersonRole(role: string): role is PersonRole {
  return personRoles.includes(role as PersonRole);
}

const name: AuthorityName = {
  tenant: installationTenant,
  identity: 'service-ca',
  commonName: 'Sealpost service CA',
  organization: 'Sealpost',
  algorithm: 'p-256',
};

export function ensureServiceAuthority(stores: AuthorityStores): Promise<Authority> {
  return ensureAuthority(name, stores);
}

export async function issueClientCertificate(
  ca: Authority,
  role: ClientRole,
  person: string,
  key: KeyObject,
): Promise<Certificate> {
  const kind = isPersonRole(role) ? 'person' : 'service';
  return await ca.issue(
    {
      subject: { commonName: `${role} ${person}` },
      uris: [`sealpost://${kind}/${role}/${person}`],
      publicKey: key,
      profile: 'tls-client',
    },
    credentialLifeMs,
  );
}

/** `hosts`: host names and IP addresses under which the key service is reached. */
export async function issueServerCertificate(
  ca: Authority,
  hosts: readonly string[],
  key: KeyObject,
): Promise<Certificate> {
  return await ca.issue(
    {
      subject: { commonName: 'key-service' },
      dnsNames: hosts.filter((host) => isIP(host) === 0),
      ipAddresses: hosts.filter((host) => isIP(host) !== 0),
      publicKey: key,
      profile: 'tls-server',
    },
    credentialLifeMs,
  );
}

export async function issueTicketCertificate(
  ca: Authority,
  role: ServiceRole,
  instance: string,
  key: KeyObject,
): Promise<Certificate> {
  return await ca.issue(
    {
      subject: { commonName: `${role} tickets` },
      uris: [`sealpost://ticket/${role}/${instance}`],
      publicKey: key,
      profile: { purpose: TICKET_PURPOSE },
    },
    ticketLifeMs,
  );
}
