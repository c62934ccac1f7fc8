// A tenant's internal CA and what the gateway needs to serve the tenant: spool keys of both stages and the key of its markers.

import { type KeyUse, normalAddress, spoolIdentity, type TenantId } from '@sealpost/core';
import { type DecryptionAlgorithm, KeyFault, type SigningAlgorithm } from '@sealpost/service';
import { type Certificate, type CertificateProfile, importPublicKey } from '@sealpost/smime';
import { makePrivateKey, type NewAlgorithm } from '../store/make-key.ts';
import {
  type Authority,
  type AuthorityName,
  type AuthorityStores,
  ensureAuthority,
  findAuthority,
} from './authority.ts';

/** Two years: below the 825 days that the S/MIME baseline requirements allow (§6.3.2, strict generation). */
export const identityLifeMs = 730 * 86_400_000;

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

export function tenantAuthority(tenant: TenantId, stores: AuthorityStores): Promise<Authority | undefined> {
  return findAuthority(nameOf(tenant), stores);
}

/** A key that every tenant has. */
export interface TenantKey {
  readonly identity: string;
  readonly use: KeyUse;
  readonly algorithm: NewAlgorithm;
}

/** What a configured tenant lacks. */
export async function missingKeys(tenant: TenantId, { keys }: AuthorityStores): Promise<TenantKey[]> {
  const { identity, algorithm } = nameOf(tenant);
  const wanted: readonly TenantKey[] = [
    { identity: spoolIdentity('crypto'), use: 'spool', algorithm: 'x25519' },
    { identity: spoolIdentity('delivery'), use: 'spool', algorithm: 'x25519' },
    { identity: markerIdentity, use: 'mac', algorithm: 'hmac-sha256' },
    { identity, use: 'ca', algorithm },
  ];
  const missing: TenantKey[] = [];
  for (const key of wanted) if ((await keys.versions(tenant, key.identity, key.use)).length === 0) missing.push(key);
  return missing;
}

export async function makeTenantKey(tenant: TenantId, key: TenantKey, stores: AuthorityStores): Promise<void> {
  if (key.use === 'ca') await ensureAuthority(nameOf(tenant), stores);
  else await stores.keys.add({ tenant, ...key, privateKey: await makePrivateKey(key.algorithm) });
}

/** What a person's certificate is for, by the uses of its key. */
export function profileOf(uses: readonly KeyUse[]): CertificateProfile {
  if (uses.length > 1) return 'smime';
  return uses[0] === 'signing' ? 'smime-sign' : 'smime-encrypt';
}

export interface NewIdentity {
  readonly tenant: TenantId;
  readonly address: string;
  readonly commonName: string;
  readonly algorithm: SigningAlgorithm;
  readonly decryptionAlgorithm: DecryptionAlgorithm;
  readonly single: boolean;
}

/** Makes keys and certificates of a person: one pair each for signing and decryption, or one for both. */
export async function addIdentity(identity: NewIdentity, stores: AuthorityStores): Promise<void> {
  const { tenant, commonName, algorithm, decryptionAlgorithm, single } = identity;
  // One key for both uses must be able to do both.
  if (single && algorithm !== decryptionAlgorithm) throw new KeyFault('request-malformed');
  const address = normalAddress(identity.address);
  const ca = await ensureAuthority(nameOf(tenant), stores);
  const signing = await makePrivateKey(algorithm);
  const decryption = single ? signing : await makePrivateKey(decryptionAlgorithm);
  await stores.records.transaction(async () => {
    // Asked here, because two requests for one address may both have been making keys.
    if ((await stores.keys.versions(tenant, address, 'signing')).length > 0) throw new KeyFault('exists');
    const pairs = [
      { use: 'signing', privateKey: signing },
      { use: 'decryption', privateKey: decryption },
    ] as const;
    const uses = pairs.map(({ use }) => use);
    let shared: Certificate | undefined;
    for (const { use, privateKey } of pairs) {
      const key = await stores.keys.add({ tenant, identity: address, use, privateKey });
      const certificate =
        (single ? shared : undefined) ??
        (await ca.issue(
          {
            subject: { commonName, organization: tenant },
            addresses: [address],
            publicKey: importPublicKey(key.spki),
            profile: profileOf(single ? uses : [use]),
          },
          identityLifeMs,
        ));
      shared = certificate;
      await stores.certificates.add(tenant, {
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
