// Certificates by tenant and address, and each tenant's trusted roots: public material, asked for with every message.

import type { TenantId } from '@sealpost/core';
import { tenantAuthority } from '../authority/tenant-authority.ts';
import type { OpenStore } from '../open-store.ts';
import type { Operation } from './operation.ts';

export const certificates: Operation<'certificates'> = {
  run({ tenant, address }, { store }) {
    return {
      records: store.certificates
        .ofAddress(tenant as TenantId, address)
        .map((record) => ({ ...record, chain: [...record.chain] })),
    };
  },
};

export const trustAnchors: Operation<'trust-anchors'> = {
  run: ({ tenant }, { store }) => ({ certificates: anchorsOf(tenant as TenantId, store) }),
};

/** The tenant's own CA first, then what operators added. */
export function anchorsOf(tenant: TenantId, store: OpenStore): Buffer[] {
  const own = tenantAuthority(tenant, store);
  return [...(own ? [own.certificate.der] : []), ...store.certificates.anchors(tenant)];
}
