// Section `ingress`: the two SMTP listeners, who may hand mail to the outbound one, and how much they take.

import * as z from 'zod';
import { count, domain, listenAddress, name, type Section, tenant, tlsFiles } from './values.ts';

/** Growth by signing and encrypting: 25.0 MB became 33.9 MB (measured), so a next hop's limit is announced divided by this. */
const growth = 1.4;
/** Trace fields, result headers and a footer come on top of an inbound message. */
const inboundMargin = 64 * 1024;
const mebibyte = 1024 ** 2;

const startTls = (fallback: 'required' | 'offered') =>
  z
    .enum(['required', 'offered', 'off'])
    .default(fallback)
    .describe('Whether clients must, may or cannot use STARTTLS (RFC 3207)');

/** A shorter prefix is a large part of the internet: an open relay by a typing error. */
const isNarrow = (network: string): boolean => {
  const [address = '', prefix] = network.split('/');
  return Number(prefix) >= (address.includes(':') ? 16 : 8);
};

const network = z
  .union([z.cidrv4(), z.cidrv6()], 'must be a network such as 192.0.2.0/24 or 2001:db8::/32')
  .refine(isNarrow, 'must not be wider than /8 (IPv4) or /16 (IPv6)');

const source = z
  .strictObject({
    name: name()
      .refine(
        (text) => text !== 'world' && text !== 'gateway',
        'must not be `world` or `gateway`: the gateway uses those',
      )
      .describe('Name of the source in logs, tickets and metrics'),
    tenant: tenant().optional().describe('The tenant whose mail it sends; left out where `tenantHeader` decides'),
    networks: z
      .array(network)
      .default([])
      .describe('Client networks that are this source; with `clientCertificates` both must fit'),
    clientCertificates: z
      .array(z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 fingerprint: 64 lower-case hex digits'))
      .default([])
      .describe('SHA-256 fingerprints of the TLS client certificates that are this source'),
    tenantHeader: z
      .strictObject({
        name: z
          .string()
          .regex(/^[!-9;-~]{1,64}$/, 'must be a header field name')
          .describe('Header field that the shared cloud sets; it is removed from the message'),
        tenants: z.record(z.string(), tenant()).describe('Tenant by the value of the field'),
      })
      .optional()
      .describe('For a shared cloud, whose addresses every customer uses: the header field that names the tenant'),
    domains: z
      .array(domain())
      .min(1)
      .describe('Header From domains that this source may speak for, as far as they are the tenant’s'),
    normaliseBareLf: z.boolean().default(false).describe('Turn bare LF into CRLF instead of refusing the message'),
    knock: z
      .boolean()
      .default(false)
      .describe('Make its clients wait for the greeting, as strangers do, to see who talks early'),
  })
  .refine(({ networks, clientCertificates }) => networks.length + clientCertificates.length > 0, {
    path: ['networks'],
    error: 'a source needs `networks` or `clientCertificates`, else everybody is this source',
  })
  .refine((each) => (each.tenant === undefined) !== (each.tenantHeader === undefined), {
    path: ['tenant'],
    error: 'a source needs either `tenant` or `tenantHeader`',
  });

const nextHopBytes = () =>
  count(128 * 1024, 256 * mebibyte)
    .default(35 * mebibyte)
    .describe(
      'Largest message that the next hop in this direction takes; what SIZE announces (RFC 1870) follows from it',
    );

const clients = (defaults: { sessions: number; messagesPerMinute: number }) =>
  z
    .strictObject({
      sessions: count(1).default(defaults.sessions).describe('Sessions of one client address (of one /64 with IPv6)'),
      messagesPerMinute: count(0)
        .default(defaults.messagesPerMinute)
        .describe('Messages a minute of one client address; 0 for no limit'),
    })
    .prefault({});

export const ingress = z
  .strictObject({
    outbound: z
      .strictObject({
        listen: listenAddress({ host: '127.0.0.1', port: 2525 }),
        startTls: startTls('required'),
        sources: z.array(source).default([]).describe('Who may send through this gateway'),
        nextHopBytes: nextHopBytes(),
        clients: clients({ sessions: 200, messagesPerMinute: 0 }),
      })
      .prefault({}),
    inbound: z
      .strictObject({
        listen: listenAddress({ host: '127.0.0.1', port: 2526 }),
        startTls: startTls('offered'),
        nextHopBytes: nextHopBytes(),
        clients: clients({ sessions: 50, messagesPerMinute: 1_200 }),
      })
      .prefault({}),
    tls: tlsFiles().optional().describe('Certificate of the listeners; needed unless both have `startTls: off`'),
    limits: z
      .strictObject({
        recipients: count(100, 1_000).default(500).describe('Recipients of one transaction (RFC 5321 §4.5.3.1.8)'),
        sessions: count(1, 100_000).default(1_000).describe('Sessions of one listener'),
        sessionMinutes: count(1, 24 * 60)
          .default(60)
          .describe('After this long a session ends, at once or after the message in hand'),
        bytesInFlight: count(mebibyte)
          .default(256 * mebibyte)
          .describe(
            'Bytes of messages in one process at once; while sealed, a message takes about four times its size',
          ),
        knockMs: count(0, 30_000)
          .default(100)
          .describe('How long clients wait for the greeting, in milliseconds; who talks before it is sent away'),
      })
      .prefault({}),
  })
  .prefault({})
  .refine(({ outbound, inbound, tls }) => tls || (outbound.startTls === 'off' && inbound.startTls === 'off'), {
    path: ['tls'],
    error: 'is needed for STARTTLS; leave it out only where both listeners have `startTls: off`',
  })
  .refine(
    ({ outbound }) =>
      outbound.startTls !== 'off' ||
      outbound.sources.every(({ clientCertificates }) => clientCertificates.length === 0),
    { path: ['outbound', 'startTls'], error: 'must not be `off` where a source is known by its client certificate' },
  );

export type IngressConfig = Section<typeof ingress>;

/** What SIZE announces in each direction, in bytes. */
export function announcedBytes({ outbound, inbound }: IngressConfig): { outbound: number; inbound: number } {
  return {
    outbound: Math.floor(outbound.nextHopBytes / growth),
    inbound: inbound.nextHopBytes - inboundMargin,
  };
}
