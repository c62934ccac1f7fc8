// Section `egress`: the next hops and which mail goes to which.

import * as z from 'zod';
import { address, count, domain, host, name, path, type Section } from './values.ts';

const authentication = z.strictObject({
  userFile: path().describe('File that holds the user name for the next hop'),
  passwordFile: path().describe('File that holds the password for the next hop'),
});

const route = z
  .strictObject({
    name: name().describe('Name of the route in logs and metrics'),
    direction: z.enum(['outbound', 'inbound']).optional().describe('Only mail of this direction; left out: both'),
    domains: z.array(domain()).optional().describe('Only recipients in these domains; left out: all'),
    nextHop: address().describe('The SMTP server that takes the mail and holds the long queue'),
    tls: z
      .enum(['off', 'opportunistic', 'required', 'verified'])
      .default('required')
      .describe(
        '`opportunistic`: TLS where it works, else plain; `required`: TLS always; `verified`: and a certificate that names the host',
      ),
    caFile: path().optional().describe('PEM file of the roots for `tls: verified`; left out: those of the system'),
    serverName: host()
      .optional()
      .describe('Name in the certificate for `tls: verified`; left out: the host of `nextHop`'),
    authentication: authentication.optional().describe('Log in with AUTH; needs `tls: required` or `verified`'),
    connections: count(1, 1_000).default(10).describe('Connections to the next hop at a time, for each process'),
    messagesPerConnection: count(1, 10_000).default(100).describe('Messages over one connection before it is closed'),
    idleSeconds: count(1, 300).default(15).describe('How long an unused connection is kept'),
    recipientsPerTransaction: count(1, 10_000)
      .default(100)
      .describe(
        'More recipients go in further transactions; 100 is what every server has to take (RFC 5321 §4.5.3.1.8)',
      ),
    bytesInFlight: count(1024 * 1024)
      .default(128 * 1024 * 1024)
      .describe('Bytes of mail in hand for this route, for each process: one dead next hop must not fill the memory'),
  })
  .refine(({ tls, caFile, serverName }) => tls === 'verified' || (!caFile && !serverName), {
    message: '`caFile` and `serverName` only count with `tls: verified`',
    path: ['tls'],
  })
  .refine(({ tls, authentication }) => !authentication || tls === 'required' || tls === 'verified', {
    message: 'must be `required` or `verified` where there is `authentication`: a password never travels in clear',
    path: ['tls'],
  });

export const egress = z
  .strictObject({
    routes: z.array(route).default([]).describe('Tried in order; the first that fits direction and domain is taken'),
    concurrency: count(1, 1_000)
      .default(32)
      .describe('Deliveries in hand at a time, for each process; each holds its message in memory'),
    connectSeconds: count(1, 600).default(30).describe('How long a next hop may take to greet, TLS included'),
    replySeconds: count(1, 3600)
      .default(600)
      .describe('How long a next hop may be silent; less than 600 makes duplicates (RFC 5321 §4.5.3.2.6)'),
    waitingDomains: count(0, 20)
      .default(0)
      .describe(
        'Domains of recipients that metrics show with the age of their oldest waiting mail, the oldest first, the rest together as `other`; 0: none. Whoever reads the metrics then sees where mail goes',
      ),
    delayNoticeHours: count(0, 240)
      .default(4)
      .describe('Tell the sender once after this time that the mail is still waiting; 0: never'),
  })
  .prefault({});

export type EgressConfig = Section<typeof egress>;
export type RouteConfig = EgressConfig['routes'][number];
