// Names that have to resolve, next hops that have to answer, and the gateway's own listeners.

import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { type Installation, within } from '@sealpost/service';
import { connectSmtp, type SmtpSource } from '@sealpost/testkit';
import { type Finding, failed, ok, warning, wordsOf } from './finding.ts';
import { rolesHere } from './roles-here.ts';

/** A server that takes longer to greet makes every delivery slow. */
const patienceMs = 5_000;

interface HostPort {
  readonly host: string;
  readonly port: number;
}

type Route = Installation['egress']['routes'][number];

/** Next hops are looked at from where the egress runs, listeners from where the ingress does. */
export async function examineNetwork(config: Installation): Promise<Finding[]> {
  const { installation, egress, ingress } = config;
  const here = rolesHere(config);
  const findings = [
    examineName(installation),
    ...(here.includes('egress') ? egress.routes : []).map((route, at) =>
      examineNextHop(`egress.routes[${at}].nextHop`, route),
    ),
    ...(here.includes('ingress')
      ? [
          examineListener('ingress.outbound.listen', ingress.outbound.listen, ingress.outbound.startTls),
          examineListener('ingress.inbound.listen', ingress.inbound.listen, ingress.inbound.startTls),
        ]
      : []),
  ];
  return [
    ...(await Promise.all(findings)),
    ...(egress.routes.length === 0
      ? [failed('egress.routes', 'there is none: mail waits for ever', 'name the next hop of your mail')]
      : []),
  ];
}

async function examineName(name: string): Promise<Finding> {
  try {
    const { address } = await within(patienceMs, () => lookup(name));
    return ok('installation', `${name} is ${address}`);
  } catch {
    return warning(
      'installation',
      `${name} is not in the DNS as this machine sees it`,
      'give it an address record: servers that check the name in HELO refuse mail otherwise',
    );
  }
}

async function examineNextHop(what: string, { nextHop, tls, caFile, serverName }: Route): Promise<Finding> {
  const { host, port } = nextHop;
  if (isIP(host) === 0) {
    try {
      await within(patienceMs, () => lookup(host));
    } catch {
      return failed(what, `${host} is not in the DNS`, 'correct the name, or the resolver of this machine');
    }
  }
  const name = serverName ?? host;
  const offered = await greeted(
    nextHop,
    tls === 'verified'
      ? {
          rejectUnauthorized: true,
          ...(isIP(name) === 0 ? { servername: name } : {}),
          ...(caFile === undefined ? {} : { ca: readFileSync(caFile) }),
        }
      : {},
  );
  if (typeof offered === 'string')
    return failed(what, `${host}:${port} ${offered}`, 'start that server, or open the way to it');
  if (tls !== 'off' && !offered.startTls) {
    const text = `${host}:${port} offers no STARTTLS and the route says \`tls: ${tls}\``;
    return tls === 'opportunistic'
      ? warning(what, text, 'mail goes there in clear; switch TLS on there')
      : failed(what, text, 'switch TLS on there: nothing is delivered without');
  }
  if (tls !== 'off' && offered.fault !== undefined) {
    return failed(
      what,
      `TLS with ${host}:${port} cannot be had (${offered.fault})`,
      'give that server a certificate for its name, or the route the `caFile` and `serverName` to believe it by',
    );
  }
  return ok(what, `${host}:${port} answers${offered.startTls ? ' and offers STARTTLS' : ''}`);
}

async function examineListener(what: string, { host, port }: HostPort, startTls: string): Promise<Finding> {
  // A listener on all addresses is asked on loopback.
  const local = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  const offered = await greeted({ host: local, port });
  if (typeof offered === 'string')
    return warning(what, `${local}:${port} ${offered}`, 'start the ingress, if it should run on this machine');
  if (startTls !== 'off' && !offered.startTls)
    return failed(
      what,
      `${local}:${port} offers no STARTTLS`,
      'another program may have the port; else restart the ingress',
    );
  if (startTls !== 'off' && offered.fault !== undefined)
    return failed(
      what,
      `TLS with ${local}:${port} cannot be had (${offered.fault})`,
      'look at `ingress.tls`, and restart the ingress',
    );
  return ok(what, `${local}:${port} answers${offered.startTls ? ' and offers STARTTLS' : ''}`);
}

interface Offered {
  readonly startTls: boolean;
  /** Why TLS, which it offers, cannot be had. */
  readonly fault?: string;
}

/** What the server offers, or why it does not answer. */
async function greeted(address: HostPort, tls: ConnectionOptions = {}): Promise<Offered | string> {
  let source: SmtpSource | undefined;
  try {
    const client = await within(patienceMs, () => connectSmtp(address));
    source = client;
    const { code, lines } = await within(patienceMs, () => client.greet('doctor.invalid'));
    if (code !== 250) return `answers EHLO with ${code}`;
    const startTls = lines.some((line) => line.toUpperCase() === 'STARTTLS');
    if (!startTls) return { startTls };
    try {
      await within(patienceMs, () => client.startTls(tls));
      await within(patienceMs, () => client.command('QUIT')).catch(() => undefined);
      return { startTls };
    } catch (error) {
      return { startTls, fault: wordsOf(error) };
    }
  } catch (error) {
    return `does not answer (${wordsOf(error)})`;
  } finally {
    source?.reset();
  }
}
