// How long the certificates of the store are valid for yet, for a metric: an operator must see the end coming. What was replaced
// does not count: only the latest certificate of each holder and use does.

import { type CertificateRecord, parseKeyId, type TenantId } from '@sealpost/core';
import type { Labels, Reading } from '@sealpost/service';
import { certificateFromDer } from '@sealpost/smime';
import { installationTenant } from './authority/authority.ts';
import type { OpenStore } from './open-store.ts';

const metric = 'sealpost_certificates';
type CertificateLabels = Labels<typeof metric>;
type Left = CertificateLabels['left'];

const hourMs = 60 * 60_000;
const dayMs = 24 * hourMs;
/** Reading opens every certificate of the store; ends are days away, scrapes seconds. */
const lifeMs = hourMs;

const lefts: readonly (readonly [Left, upToDays: number])[] = [
  ['ended', 0],
  ['7 days', 7],
  ['30 days', 30],
  ['90 days', 90],
  ['longer', Number.POSITIVE_INFINITY],
];

/** A reader that remembers what it read for an hour; every count is given, zeros too, so that a series does not come and go. */
export function certificateAges(
  tenants: readonly TenantId[],
): (store: Pick<OpenStore, 'certificates'>, now: Date) => Promise<readonly Reading<typeof metric>[]> {
  let known: readonly Reading<typeof metric>[] = [];
  let readAt = Number.NEGATIVE_INFINITY;
  return async (store, now) => {
    if (now.getTime() - readAt >= lifeMs) {
      const readings = [installationTenant, ...tenants].map(async (tenant) =>
        readingsOf(tenant, await store.certificates.ofTenant(tenant), now),
      );
      known = (await Promise.all(readings)).flat();
      readAt = now.getTime();
    }
    return known;
  };
}

function readingsOf(tenant: TenantId, records: readonly CertificateRecord[], now: Date): Reading<typeof metric>[] {
  const latest = new Map<string, { readonly holder: CertificateLabels['holder']; readonly end: number }>();
  for (const record of records) {
    const end = certificateFromDer(record.certificate).notAfter.getTime();
    const name = `${record.address} ${record.keyId === undefined ? 'partner' : parseKeyId(record.keyId).use}`;
    if (end > (latest.get(name)?.end ?? 0)) latest.set(name, { holder: holderOf(record), end });
  }
  return (['own', 'partner', 'authority'] as const).flatMap((holder) =>
    lefts.map(([left, upToDays], at) => {
      const [from, to] = [at === 0 ? Number.NEGATIVE_INFINITY : (lefts[at - 1]?.[1] ?? 0), upToDays];
      const value = [...latest.values()].filter(({ holder: whose, end }) => {
        const days = (end - now.getTime()) / dayMs;
        return whose === holder && days > from && days <= to;
      }).length;
      return { value, labels: { tenant, holder, left } };
    }),
  );
}

/** Names of authorities are no addresses. */
function holderOf({ address, keyId }: CertificateRecord): CertificateLabels['holder'] {
  if (!address.includes('@')) return 'authority';
  return keyId === undefined ? 'partner' : 'own';
}
