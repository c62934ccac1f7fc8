// People of the tenants: their keys and certificates are made here; lists show what there is, never a private key.

import { type CertificateRecord, domainOf, normalAddress, parseKeyId, type TenantId } from '@sealpost/core';
import { decryptionPartner, type KeyAnswer, KeyFault, type TenantsConfig } from '@sealpost/service';
import { certificateFromDer } from '@sealpost/smime';
import { addIdentity } from '../authority/tenant-authority.ts';
import type { OpenStore } from '../open-store.ts';
import type { Operation } from './operation.ts';

type Identity = KeyAnswer<'identity-show'>['identity'];

export const identityAdd: Operation<'identity-add'> = {
  subject: ({ address }, store) => ({ address: store.auditAddress(address) }),
  async run(
    { address, algorithm, decryptionAlgorithm = decryptionPartner(algorithm), single, commonName },
    { store, tenants, note },
  ) {
    const tenant = tenantOf(address, tenants);
    note({ tenant });
    await addIdentity(
      { tenant, address, algorithm, decryptionAlgorithm, single, commonName: commonName ?? shortName(address) },
      store,
    );
    return identityOf(tenant, address, await store.certificates.ofAddress(tenant, address));
  },
};

export const identityList: Operation<'identity-list'> = {
  async run({ tenant }, { store, tenants }) {
    const chosen = tenants.filter(({ id }) => tenant === undefined || id === tenant);
    return { identities: (await Promise.all(chosen.map(({ id }) => identitiesOf(id, store)))).flat() };
  },
};

export const identityShow: Operation<'identity-show'> = {
  async run({ tenant, address }, { store, tenants }) {
    const chosen = tenants.filter(({ id }) => tenant === undefined || id === tenant);
    for (const { id } of chosen) {
      const records = await store.certificates.ofAddress(id, address);
      if (records.length > 0) return { identity: identityOf(id, address, records), records: records.map(copied) };
    }
    throw new KeyFault('not-found');
  },
};

/** The tenant that an address of ours belongs to. Fault: `address-not-ours`. */
export function tenantOf(address: string, tenants: TenantsConfig): TenantId {
  const domain = domainOf(address);
  const tenant = tenants.find(({ domains }) => domains.includes(domain));
  if (!tenant) throw new KeyFault('address-not-ours');
  return tenant.id;
}

/** The tenant that a request means. Faults: `not-found`, `tenant-needed`. */
export function meantTenant(named: string | undefined, tenants: TenantsConfig): TenantId {
  const [first, ...others] = tenants;
  if (named === undefined && first && others.length === 0) return first.id;
  if (named === undefined) throw new KeyFault('tenant-needed');
  const tenant = tenants.find(({ id }) => id === named);
  if (!tenant) throw new KeyFault('not-found');
  return tenant.id;
}

function identityOf(tenant: TenantId, address: string, records: readonly CertificateRecord[]): Identity {
  return {
    tenant,
    address: normalAddress(address),
    certificates: records.map(({ certificate: der, keyId, fingerprint }) => {
      const { subject, issuer, keyAlgorithm, notBefore, notAfter } = certificateFromDer(der);
      const use = keyId === undefined ? 'partner' : parseKeyId(keyId).use === 'signing' ? 'signing' : 'decryption';
      return {
        fingerprint,
        subject,
        issuer,
        algorithm: keyAlgorithm,
        use,
        ...(keyId === undefined ? {} : { keyId }),
        notBefore,
        notAfter,
      };
    }),
  };
}

/** What stands now under each of these addresses. */
export async function identitiesNamed(
  named: readonly { readonly tenant: TenantId; readonly address: string }[],
  { certificates }: OpenStore,
): Promise<Identity[]> {
  return await Promise.all(
    named.map(async ({ tenant, address }) =>
      identityOf(tenant, address, await certificates.ofAddress(tenant, address)),
    ),
  );
}

async function identitiesOf(tenant: TenantId, store: OpenStore): Promise<Identity[]> {
  // The tenant's own CA stands among its certificates under a name without `@`.
  const people = (await store.certificates.ofTenant(tenant)).filter(({ address }) => address.includes('@'));
  const byAddress = Map.groupBy(people, ({ address }) => address);
  return [...byAddress].map(([address, records]) => identityOf(tenant, address, records)).sort(byName);
}

function byName(a: Identity, b: Identity): number {
  return a.address < b.address ? -1 : 1;
}

function copied(record: CertificateRecord) {
  return { ...record, chain: [...record.chain] };
}

/** The local part names the person where nobody said better; RFC 5280 allows 64 characters. */
function shortName(address: string): string {
  return address.slice(0, address.lastIndexOf('@')).slice(0, 64);
}
