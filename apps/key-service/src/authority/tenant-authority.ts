// A tenant's internal CA and what the gateway needs to serve the tenant: spool keys of both stages and the key of its markers.

import { normalAddress, spoolIdentity, type TenantId } from '@sealpost/core';
import { KeyFault } from '@sealpost/service';
import { importPublicKey } from '@sealpost/smime';
import { makePrivateKey, type StoredKey } from '../store/key-store.ts';
import {
  type Authority,
  type AuthorityName,
  type AuthorityStores,
  ensureAuthority,
  findAuthority,
} from './authority.ts';

/** Two years: below the 825 days that the S/MIME baseline requirements allow (§6.3.2, strict generation). */
const identityLifeMs = 730 * 86_400_000;

/** Identity of the HMAC key that authenticates our own markers. */
export const markerIdentity = 'marker';

const nameOf = (tenant: TenantId): AuthorityName => ({
  tenant,
  identity: 'ca.internal',
  commonName: `${tenant} mail CA`,
  organization: tenant,
  // Every mail client verifies RSA; the CA signs rarely.
  algorithm: 'rsa-3072',
});

export function tenantAuthority(tenant: TenantId, stores: AuthorityStores): Authority | undefined {
  return findAuthority(nameOf(tenant), stores);
}

/** Makes whatever a configured tenant lacks; returns how many keys were made. */
export async function provisionTenant(tenant: TenantId, stores: AuthorityStores): Promise<StoredKey[]> {
  const made: StoredKey[] = [];
  const { keys } = stores;
  for (const stage of ['crypto', 'delivery'] as const) {
    const identity = spoolIdentity(stage);
    if (keys.versions(tenant, identity, 'spool').length > 0) continue;
    const privateKey = await makePrivateKey('x25519');
    made.push(keys.add({ tenant, identity, use: 'spool', privateKey }));
  }
  if (keys.versions(tenant, markerIdentity, 'mac').length === 0) {
    const privateKey = await makePrivateKey('hmac-sha256');
    made.push(keys.add({ tenant, identity: markerIdentity, use: 'mac', privateKey }));
  }
  if (!tenantAuthority(tenant, stores)) {
    await ensureAuthority(nameOf(tenant), stores);
    made.push(...keys.versions(tenant, nameOf(tenant).identity, 'ca'));
  }
  return made;
}

export interface NewIdentity {
  readonly tenant: TenantId;
  readonly address: string;
  readonly commonName: string;
  readonly algorithm: 'rsa-2048' | 'rsa-3072' | 'p-256';
  readonly single: boolean;
}

/** Makes keys and certificates of a person: one pair each for signing and decryption, or one for both. */
export async function addIdentity(identity: NewIdentity, stores: AuthorityStores): Promise<void> {
  const { tenant, commonName, algorithm, single } = identity;
  const address = normalAddress(identity.address);
  const ca = await ensureAuthority(nameOf(tenant), stores);
  const signing = await makePrivateKey(algorithm);
  const decryption = single ? signing : await makePrivateKey(algorithm);
  stores.records.transaction(() => {
    // Asked here, because two requests for one address may both have been making keys.
    if (stores.keys.versions(tenant, address, 'signing').length > 0) throw new KeyFault('exists');
    const pairs = [
      { use: 'signing', privateKey: signing, profile: single ? 'smime' : 'smime-sign' },
      { use: 'decryption', privateKey: decryption, profile: single ? 'smime' : 'smime-encrypt' },
    ] as const;
    let shared: ReturnType<Authority['issue']> | undefined;
    for (const { use, privateKey, profile } of pairs) {
      const key = stores.keys.add({ tenant, identity: address, use, privateKey });
      const certificate =
        (single ? shared : undefined) ??
        ca.issue(
          {
            subject: { commonName, organization: tenant },
            addresses: [address],
            publicKey: importPublicKey(key.spki),
            profile,
          },
          identityLifeMs,
        );
      shared = certificate;
      stores.certificates.add(tenant, {
        fingerprint: certificate.fingerprint,
        certificate: certificate.der,
        chain: [ca.certificate.der],
        address,
        keyId: key.keyId,
        pinned: false,
      });
    }
  });
}
