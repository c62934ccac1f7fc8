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
import { queue } from './queue.ts';
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

export interface Problem {
  /** Key path, `egress.routes[0].tls`; empty for the whole file. */
  readonly path: string;
  /** What is wrong and what is allowed. */
  readonly text: string;
}

/** What is wrong across sections. */
export function crossCheck(config: Installation): Problem[] {
  return [
    ...repeated(config.tenants.map(({ id }, at) => ({ value: id, path: `tenants[${at}].id` }))),
    ...repeated(
      config.tenants.flatMap(({ domains }, at) =>
        domains.map((value, index) => ({ value, path: `tenants[${at}].domains[${index}]` })),
      ),
    ),
    ...repeated(config.egress.routes.map(({ name }, at) => ({ value: name, path: `egress.routes[${at}].name` }))),
    ...repeated(
      config.ingress.outbound.sources.map(({ name }, at) => ({
        value: name,
        path: `ingress.outbound.sources[${at}].name`,
      })),
    ),
    ...unknownTenants(config),
    ...reservedTenants(config),
    ...foreignDomains(config),
  ];
}

interface Named {
  readonly value: string;
  readonly path: string;
}

function repeated(names: readonly Named[]): Problem[] {
  return names
    .filter(({ value }, at) => names.findIndex((other) => other.value === value) < at)
    .map(({ path }) => ({ path, text: 'is used twice; it must be unique' }));
}

/** Under this name the key service keeps what belongs to no tenant: its own CA above all. */
const reservedTenant = 'installation';

function reservedTenants({ tenants }: Installation): Problem[] {
  return tenants.flatMap(({ id }, at) =>
    id === reservedTenant
      ? [{ path: `tenants[${at}].id`, text: `must not be "${reservedTenant}", which is reserved` }]
      : [],
  );
}

function unknownTenants({ tenants, ingress }: Installation): Problem[] {
  const known = new Set<string>(tenants.map(({ id }) => id));
  const used = ingress.outbound.sources.flatMap(({ tenant, tenantHeader }, at): Named[] => {
    const path = `ingress.outbound.sources[${at}]`;
    return [
      ...(tenant === undefined ? [] : [{ value: tenant, path: `${path}.tenant` }]),
      ...Object.entries(tenantHeader?.tenants ?? {}).map(([key, value]) => ({
        value,
        path: `${path}.tenantHeader.tenants.${key}`,
      })),
    ];
  });
  return used
    .filter(({ value }) => !known.has(value))
    .map(({ path }) => ({ path, text: `must be one of the tenants: ${[...known].join(', ')}` }));
}

/** Ingress refuses such mail, each one anew; said here, it is one line at start. A source of unknown tenants is told above. */
function foreignDomains({ tenants, ingress }: Installation): Problem[] {
  return ingress.outbound.sources.flatMap(({ tenant, tenantHeader, domains }, at) => {
    const named = new Set([tenant, ...Object.values(tenantHeader?.tenants ?? {})]);
    const own = tenants.filter(({ id }) => named.has(id)).flatMap((each) => each.domains);
    if (own.length === 0) return [];
    return domains.flatMap((domain, index) =>
      own.includes(domain)
        ? []
        : [{ path: `ingress.outbound.sources[${at}].domains[${index}]`, text: 'must be a domain of its tenant' }],
    );
  });
}
