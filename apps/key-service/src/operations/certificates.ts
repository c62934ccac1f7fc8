// Certificates by tenant and address, and each tenant's trusted roots: public material, asked for with every message.

import type { CertificateRecord, TenantId } from '@sealpost/core';
import { certificateFromDer } from '@sealpost/smime';
import { tenantAuthority } from '../authority/tenant-authority.ts';
import { mayBeUsed } from '../lifecycle/move-key.ts';
import type { OpenStore } from '../open-store.ts';
import type { StoredKey } from '../store/key-store.ts';
import type { Operation } from './operation.ts';

export const certificates: Operation<'certificates'> = {
  async run({ tenant, address }, { store }) {
    const records = await usable(await store.certificates.ofAddress(tenant as TenantId, address), store);
    return { records: records.map((record) => ({ ...record, chain: [...record.chain] })) };
  },
};

export const trustAnchors: Operation<'trust-anchors'> = {
  run: async ({ tenant }, { store }) => ({ certificates: await anchorsOf(tenant as TenantId, store) }),
};

/**
 * As the states of their keys have it: who signs does it with an active key, so only these stand here for signing, the newest first;
 * whatever opens old mail stays, marked where nothing new may be encrypted to it.
 */
async function usable(records: readonly CertificateRecord[], { keys }: OpenStore): Promise<CertificateRecord[]> {
  const owned = await Promise.all(
    records.map(async (record) => ({ record, key: record.keyId && (await keys.get(record.keyId)) })),
  );
  const closed = new Set(
    owned.flatMap(({ record, key }) =>
      key && key.name.use === 'decryption' && key.state !== 'active' ? [record.fingerprint] : [],
    ),
  );
  return owned
    .filter(({ key }) => !key || mayBeUsed(key))
    .sort((a, b) => start(b.record) - start(a.record) || versionOf(b.key) - versionOf(a.key))
    .map(({ record }) => (closed.has(record.fingerprint) ? { ...record, opensOnly: true as const } : record));
}

function start({ certificate }: CertificateRecord): number {
  return certificateFromDer(certificate).notBefore.getTime();
}

function versionOf(key: StoredKey | undefined): number {
  return key?.name.version ?? 0;
}

/** The tenant's own CA first, then what operators added. */
export async function anchorsOf(tenant: TenantId, store: OpenStore): Promise<Buffer[]> {
  const own = await tenantAuthority(tenant, store);
  return [...(own ? [own.certificate.der] : []), ...(await store.certificates.anchors(tenant))];
}
