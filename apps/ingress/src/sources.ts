// Who may send through the outbound listener and for whom: a configured source, known by its network or its TLS client certificate,
// may speak for the From domains that it lists, and for one tenant, which in a shared cloud a header field names.

import { BlockList, isIP } from 'node:net';
import { domainOf, fail, type TenantId } from '@sealpost/core';
import type { IngressConfig, TenantsConfig } from '@sealpost/service';
import type { HeaderField } from '@sealpost/smime';

export type SourceConfig = IngressConfig['outbound']['sources'][number];

/** What is known of a client: by the kernel, and by the TLS handshake in which it proved to hold the key. */
export interface Client {
  readonly address: string;
  /** SHA-256 of its certificate, lower-case hex. */
  readonly certificate?: string;
}

interface Source {
  readonly name: string;
  readonly normaliseBareLf: boolean;
  /** Lower-case name of the field that names the tenant. It is as good as a password here, so it does not travel on. */
  readonly tenantField?: string;
  /** The tenant of a message with these fields and this From address. Errors: `tenant-unknown`, `from-not-allowed`. */
  authorise(fields: readonly HeaderField[], from: string): TenantId;
}

export interface Sources {
  /** The first source all of whose conditions this client meets. Errors: `relay-denied`, `client-certificate-refused`. */
  of(client: Client): Source;
  /** Whether a client at this address waits for the greeting. */
  knocks(address: string): boolean;
}

export function sourceTable(configs: readonly SourceConfig[], tenants: TenantsConfig): Sources {
  const domainsOf = new Map(tenants.map(({ id, domains }) => [id, new Set(domains)]));
  const table = configs.map((config) => ({
    config,
    isIn: networkTest(config.networks),
    certificates: new Set(config.clientCertificates),
    source: sourceOf(config, domainsOf),
  }));

  return {
    of({ address, certificate }) {
      const found = table.find(
        ({ config, isIn, certificates }) =>
          (config.networks.length === 0 || isIn(address)) &&
          (certificates.size === 0 || (certificate !== undefined && certificates.has(certificate))),
      );
      if (!found) throw fail(certificate === undefined ? 'relay-denied' : 'client-certificate-refused');
      return found.source;
    },
    knocks: (address) => table.every(({ config, isIn }) => config.knock || !isIn(address)),
  };
}

function sourceOf(config: SourceConfig, domainsOf: ReadonlyMap<TenantId, ReadonlySet<string>>): Source {
  const own = new Set(config.domains);
  const tenantField = config.tenantHeader?.name.toLowerCase();
  const byValue = new Map(Object.entries(config.tenantHeader?.tenants ?? {}));

  function tenantOf(fields: readonly HeaderField[]): TenantId {
    const [named, ...others] = fields.filter(({ name }) => name === tenantField);
    // Two fields: one of them was brought along by the author to be somebody else.
    const tenant = tenantField === undefined ? config.tenant : others.length === 0 && byValue.get(named?.value ?? '');
    if (!tenant) throw fail('tenant-unknown');
    return tenant;
  }

  return {
    name: config.name,
    normaliseBareLf: config.normaliseBareLf,
    ...(tenantField === undefined ? {} : { tenantField }),
    authorise(fields, from) {
      const tenant = tenantOf(fields);
      const domain = domainOf(from);
      // Of a shared cloud's domains only those of the named tenant: its customers must not write in each other's name.
      if (!own.has(domain) || !domainsOf.get(tenant)?.has(domain)) throw fail('from-not-allowed');
      return tenant;
    },
  };
}

function networkTest(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    list.addSubnet(address, Number(prefix), familyOf(address));
  }
  return (address) => isIP(address) !== 0 && list.check(address, familyOf(address));
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}
