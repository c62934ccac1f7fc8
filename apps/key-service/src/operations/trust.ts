// Trusted roots of a tenant: whom its people believe. A certificate that came with a message never gets here by itself.

import { KeyFault } from '@sealpost/service';
import { type Certificate, certificateFromDer, parseCertificates } from '@sealpost/smime';
import { anchorsOf } from './certificates.ts';
import { meantTenant } from './identities.ts';
import type { Operation } from './operation.ts';

export const trustAdd: Operation<'trust-add'> = {
  subject: ({ tenant }) => (tenant === undefined ? {} : { tenant }),
  async run({ tenant: named, file }, { store, tenants, note }) {
    const tenant = meantTenant(named, tenants);
    const roots = read(file);
    if (roots.some((root) => !root.isCa)) throw new KeyFault('trust-not-ca');
    await store.records.transaction(async () => {
      for (const { der, fingerprint } of roots) await store.certificates.addAnchor(tenant, der, fingerprint);
    });
    note({
      tenant,
      count: roots.length,
      ...(roots[0] && roots.length === 1 ? { certificate: roots[0].fingerprint } : {}),
    });
    return { anchors: roots.map((root) => summary(tenant, root, false)) };
  },
};

export const trustList: Operation<'trust-list'> = {
  async run({ tenant: named }, { store, tenants }) {
    const chosen = tenants.filter(({ id }) => named === undefined || id === named);
    const anchors = chosen.map(async ({ id }) =>
      // The first is the tenant's own CA: a tenant that is configured has one.
      (await anchorsOf(id, store)).map((der, index) => summary(id, certificateFromDer(der), index === 0)),
    );
    return { anchors: (await Promise.all(anchors)).flat() };
  },
};

function read(file: Buffer): Certificate[] {
  let found: Certificate[];
  try {
    found = parseCertificates(file);
  } catch {
    throw new KeyFault('import-unreadable');
  }
  if (found.length === 0) throw new KeyFault('import-unreadable');
  return found;
}

function summary(tenant: string, { fingerprint, subject, notAfter }: Certificate, own: boolean) {
  return { tenant, fingerprint, subject, notAfter, own };
}
