// Section `ingress`: the two SMTP listeners, who may hand mail to the outbound one, and how much they take.

import * as z from 'zod';
import { count, domain, listenAddress, name, type Section, tenant, tlsFiles } from './values.ts';

const startTls = (fallback: 'required' | 'offered') =>
  z
    .enum(['required', 'offered', 'off'])
    .default(fallback)
    .describe('Whether clients must, may or cannot use STARTTLS (RFC 3207)');

const network = z.union([z.cidrv4(), z.cidrv6()], 'must be a network such as 192.0.2.0/24 or 2001:db8::/32');

const source = z.strictObject({
  name: name().describe('Name of the source in logs, tickets and metrics'),
  tenant: tenant().optional().describe('The tenant whose mail it sends; left out where `tenantHeader` decides'),
  networks: z.array(network).default([]).describe('Client networks that are this source'),
  clientCertificates: z
    .array(z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 fingerprint: 64 lower-case hex digits'))
    .default([])
    .describe('SHA-256 fingerprints of the TLS client certificates that are this source'),
  tenantHeader: z
    .strictObject({
      name: z
        .string()
        .regex(/^[!-9;-~]{1,64}$/, 'must be a header field name')
        .describe('Header field that the shared cloud sets'),
      tenants: z.record(z.string(), tenant()).describe('Tenant by the value of the field'),
    })
    .optional()
    .describe('For a shared cloud, whose addresses every customer uses: the header field that names the tenant'),
  domains: z.array(domain()).min(1).describe('Header From domains that this source may speak for'),
  normaliseBareLf: z.boolean().default(false).describe('Turn bare LF into CRLF instead of refusing the message'),
  knock: z.boolean().default(true).describe('Make clients wait for the greeting, which shows those who talk early'),
});

export const ingress = z
  .strictObject({
    outbound: z
      .strictObject({
        listen: listenAddress({ host: '127.0.0.1', port: 2525 }),
        startTls: startTls('required'),
        sources: z.array(source).default([]).describe('Who may send through this gateway'),
      })
      .prefault({}),
    inbound: z
      .strictObject({
        listen: listenAddress({ host: '127.0.0.1', port: 2526 }),
        startTls: startTls('offered'),
      })
      .prefault({}),
    tls: tlsFiles().optional().describe('Certificate of the listeners; needed unless both have `startTls: off`'),
    limits: z
      .strictObject({
        messageBytes: count(64 * 1024, 256 * 1024 * 1024)
          .default(25 * 1024 * 1024)
          .describe('Largest message, announced as SIZE: at most what the next hop takes divided by 1.4'),
        recipients: count(100, 10_000).default(1_000).describe('Recipients of one transaction (RFC 5321 §4.5.3.1.8)'),
      })
      .prefault({}),
  })
  .prefault({});

export type IngressConfig = Section<typeof ingress>;
