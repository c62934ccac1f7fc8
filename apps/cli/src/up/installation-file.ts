// Writes the configuration of an installation that `sealpost up` runs: everything on loopback, STARTTLS offered and not required,
// loopback may speak for the tenants' domains, the key store opened by a development file.

import { randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Layout } from './layout.ts';
import type { HostPort, Settings, Tenant } from './settings.ts';

const loopback = '127.0.0.1';

export interface Secrets {
  /** Passphrase of the TLS keys on disk. */
  readonly passphraseFile: string;
  readonly rootFile: string;
  readonly logKeyFile: string;
}

/** Random secrets, made once and kept. The root file is left to the key service, which marks a store that it made it for. */
export function makeSecrets(layout: Layout): Secrets {
  const secret = (name: string): string => {
    const file = join(layout.secrets, name);
    if (!existsSync(file)) writeFileSync(file, randomBytes(32).toString('hex'), { mode: 0o600, flag: 'wx' });
    return file;
  };
  return { passphraseFile: secret('passphrase'), rootFile: join(layout.secrets, 'root'), logKeyFile: secret('log') };
}

export interface ListenerTls {
  readonly certificateFile: string;
  readonly keyFile: string;
}

export function writeInstallation(layout: Layout, settings: Settings, secrets: Secrets, tls: ListenerTls): void {
  const { ports, tenants } = settings;
  const listen = (port: number) => ({ host: loopback, port });
  const [first] = tenants;
  const installation = {
    installation: `gateway.${first?.domain}`,
    redis: listen(ports.redis),
    blobs: { store: 'tiered', directory: layout.spool },
    keyService: {
      url: `https://${loopback}:${ports.keyService}`,
      caFile: join(layout.credentials, 'ca.crt'),
      credentials: layout.credentials,
      passphraseFile: secrets.passphraseFile,
    },
    tenants: tenants.map(({ id, domain }) => ({ id, domains: [domain] })),
    ingress: {
      outbound: {
        listen: listen(ports.outbound),
        startTls: 'offered',
        sources: tenants.map((tenant) => sourceOf(tenant, tenants)),
      },
      // It listens on loopback only, where a load may come from.
      inbound: { listen: listen(ports.inbound), startTls: 'offered', clients: { messagesPerMinute: 0 } },
      tls: { ...tls, passphraseFile: secrets.passphraseFile },
    },
    egress: { routes: routesOf(settings) },
    keyServer: {
      listen: listen(ports.keyService),
      directory: layout.keys,
      slot: { kind: 'file', file: secrets.rootFile },
      audit: { file: join(layout.keys, 'audit.log') },
    },
    http: {
      ingress: listen(ports.ingressHttp),
      worker: listen(ports.workerHttp[0] ?? 0),
      egress: listen(ports.egressHttp),
      keyService: listen(ports.keyServiceHttp),
    },
    ...telemetryOf(process.env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT),
    log: { hashKeyFile: secrets.logKeyFile },
  };
  const note =
    '# Written by `sealpost up` at each start; changes here are lost. For production see docs/configuration.md.\n';
  writeFileSync(layout.config, note + stringify(installation), { mode: 0o600 });
}

/** The variable that OpenTelemetry's own documentation names for this. */
function telemetryOf(otlpUrl: string | undefined) {
  return otlpUrl ? { telemetry: { otlpUrl } } : {};
}

/** Several tenants behind one loopback are told apart by their own loopback addresses: 127.0.0.1, 127.0.0.2, … */
function sourceOf(tenant: Tenant, tenants: readonly Tenant[]) {
  const networks = tenants.length === 1 ? ['127.0.0.0/8', '::1/128'] : [`127.0.0.${tenants.indexOf(tenant) + 1}/32`];
  return { name: `loopback-${tenant.id}`, tenant: tenant.id, networks, domains: [tenant.domain], knock: false };
}

/**
 * Mail to our own domain goes inside, everything else outside; what has no next hop waits in the queue. Between several tenants
 * mail goes over the outside: the other one's inbound listener has to open it.
 */
function routesOf({ tenants, nextHopInternal, nextHopExternal }: Settings) {
  const route = (name: string, nextHop: HostPort | undefined, rest: object) =>
    nextHop ? [{ name, nextHop, tls: 'opportunistic', ...rest }] : [];
  return [
    ...route('internal', nextHopInternal, {
      domains: tenants.map(({ domain }) => domain),
      ...(tenants.length > 1 ? { direction: 'inbound' } : {}),
    }),
    ...route('external', nextHopExternal, {}),
  ];
}
