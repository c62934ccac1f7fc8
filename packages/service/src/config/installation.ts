// The whole configuration of an installation: one YAML file, one section per room, joined here with the checks that no section
// can make alone.

import * as z from 'zod';
import { blobs } from './blobs.ts';
import { egress } from './egress.ts';
import { http } from './http.ts';
import { ingress } from './ingress.ts';
import { keyServer } from './key-server.ts';
import { keyService } from './key-service-client.ts';
import { log } from './log.ts';
import type { Finding } from './problems.ts';
import { queue } from './queue.ts';
import type { KeyPath } from './read-yaml.ts';
import { redis } from './redis.ts';
import { telemetry } from './telemetry.ts';
import { tenants } from './tenants.ts';
import { domain, type Section } from './values.ts';
import { worker } from './worker.ts';

export const installation = z.strictObject({
  installation: domain().describe('Host name of the gateway: in HELO, Received fields and delivery reports'),
  redis,
  blobs,
  queue,
  keyService,
  tenants,
  ingress,
  worker,
  egress,
  keyServer,
  http,
  telemetry,
  log,
});

/** The parsed configuration, frozen. */
export type Installation = Section<typeof installation>;

/** What is wrong across sections. */
export function crossCheck(config: Installation): Finding[] {
  const { tenants, egress, ingress } = config;
  const { sources } = ingress.outbound;
  return [
    ...repeated(tenants.map(({ id }, index) => ({ value: id, at: ['tenants', index, 'id'] }))),
    ...repeated(
      tenants.flatMap(({ domains }, index) =>
        domains.map((value, place) => ({ value, at: ['tenants', index, 'domains', place] })),
      ),
    ),
    ...repeated(egress.routes.map(({ name }, index) => ({ value: name, at: ['egress', 'routes', index, 'name'] }))),
    ...repeated(sources.map(({ name }, index) => ({ value: name, at: [...sourcesPath, index, 'name'] }))),
    ...unknownTenants(config),
    ...reservedTenants(config),
    ...foreignDomains(config),
  ];
}

const sourcesPath = ['ingress', 'outbound', 'sources'] as const;

interface Named {
  readonly value: string;
  readonly at: KeyPath;
}

function repeated(names: readonly Named[]): Finding[] {
  const seen = new Set<string>();
  return names.flatMap(({ value, at }) => {
    if (seen.has(value)) return [{ at, text: 'is used twice; it must be unique' }];
    seen.add(value);
    return [];
  });
}

/** Under this name the key service keeps what belongs to no tenant: its own CA above all. */
const reservedTenant = 'installation';

function reservedTenants({ tenants }: Installation): Finding[] {
  return tenants.flatMap(({ id }, index) =>
    id === reservedTenant
      ? [{ at: ['tenants', index, 'id'], text: `must not be "${reservedTenant}", which is reserved` }]
      : [],
  );
}

function unknownTenants({ tenants, ingress }: Installation): Finding[] {
  const known = new Set<string>(tenants.map(({ id }) => id));
  const used = ingress.outbound.sources.flatMap(({ tenant, tenantHeader }, index): Named[] => {
    const at = [...sourcesPath, index];
    return [
      ...(tenant === undefined ? [] : [{ value: tenant, at: [...at, 'tenant'] }]),
      ...Object.entries(tenantHeader?.tenants ?? {}).map(([key, value]) => ({
        value,
        at: [...at, 'tenantHeader', 'tenants', key],
      })),
    ];
  });
  return used
    .filter(({ value }) => !known.has(value))
    .map(({ at }) => ({ at, text: `must be one of the tenants: ${[...known].join(', ')}` }));
}

/** Ingress refuses such mail, each one anew; said here, it is one line at start. A source of unknown tenants is told above. */
function foreignDomains({ tenants, ingress }: Installation): Finding[] {
  return ingress.outbound.sources.flatMap(({ tenant, tenantHeader, domains }, index) => {
    const named = new Set([tenant, ...Object.values(tenantHeader?.tenants ?? {})]);
    const own = tenants.filter(({ id }) => named.has(id)).flatMap((each) => each.domains);
    if (own.length === 0) return [];
    return domains.flatMap((domain, place) =>
      own.includes(domain)
        ? []
        : [{ at: [...sourcesPath, index, 'domains', place], text: 'must be a domain of its tenant' }],
    );
  });
}
