// What `sealpost up` was asked for, joined with what it remembered from the last start on the same directory: ports stay the same,
// so a mail server that was pointed at them keeps working.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { UsageError } from '../usage-error.ts';

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export interface Tenant {
  readonly id: string;
  readonly domain: string;
}

export interface Settings {
  readonly tenants: readonly Tenant[];
  readonly workers: number;
  readonly nextHopExternal?: HostPort;
  readonly nextHopInternal?: HostPort;
  readonly ports: Readonly<Record<PortName, number>> & { readonly workerHttp: readonly number[] };
}

const portNames = [
  'outbound',
  'inbound',
  'redis',
  'keyService',
  'ingressHttp',
  'egressHttp',
  'keyServiceHttp',
] as const;
type PortName = (typeof portNames)[number];

export interface Asked {
  readonly tenants?: readonly Tenant[];
  readonly workers?: number;
  readonly nextHopExternal?: HostPort;
  readonly nextHopInternal?: HostPort;
}

const defaultTenants: readonly Tenant[] = [tenantOf('alpha.test')];
/** Two, so that one may die without mail waiting for its restart. */
const defaultWorkers = 2;

/** A tenant id from a domain: `alpha.test` → `alpha-test`. */
export function tenantOf(domain: string): Tenant {
  const name = domain.toLowerCase();
  if (!/^[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(name))
    throw new UsageError(`'${domain}' is not a mail domain; give one such as alpha.test`);
  return { id: name.replaceAll('.', '-').replace(/^[^a-z]/, (first) => `t${first}`), domain: name };
}

/** Reads `HOST:PORT`, `[::1]:PORT` too. */
export function hostPort(text: string): HostPort {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):([0-9]{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (!host || port < 1 || port > 65535)
    throw new UsageError(`'${text}' is not HOST:PORT; give one such as 127.0.0.1:2525`);
  return { host, port };
}

/** Settles every setting and remembers it in `file`. */
export async function settle(asked: Asked, file: string): Promise<Settings> {
  const last: Partial<Settings> = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
  const workers = asked.workers ?? last.workers ?? defaultWorkers;
  const ports = await settlePorts(last.ports, workers);
  const settings = { tenants: defaultTenants, ...last, ...asked, workers, ports };
  writeFileSync(file, JSON.stringify(settings, undefined, 2), { mode: 0o600 });
  return settings;
}

async function settlePorts(last: Settings['ports'] | undefined, workers: number): Promise<Settings['ports']> {
  const taken = new Set<number>();
  const named: Partial<Record<PortName, number>> = {};
  for (const name of portNames) named[name] = await freePort(last?.[name], taken);
  const workerHttp: number[] = [];
  for (let index = 0; index < workers; index++) workerHttp.push(await freePort(last?.workerHttp[index], taken));
  return { ...(named as Record<PortName, number>), workerHttp };
}

/** The wanted port if it is free, else any free one. */
async function freePort(wanted: number | undefined, taken: Set<number>): Promise<number> {
  const port = (wanted !== undefined && !taken.has(wanted) && (await listenable(wanted))) || (await listenable(0));
  if (port === undefined) throw new UsageError('No free TCP port on 127.0.0.1');
  if (taken.has(port)) return freePort(undefined, taken);
  taken.add(port);
  return port;
}

function listenable(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? address?.port : undefined));
    });
  });
}
