// Who is at the other end of a connection: the role and name in the one URI of its client certificate. Asked for each request,
// because a connection outlives decisions: the certificate may have expired or been refused since the handshake.

import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { type ClientRole, isPersonRole } from './authority/service-authority.ts';

export interface Caller {
  readonly role: ClientRole;
  /** The last part of the URI. */
  readonly name: string;
  /** SHA-256 of the certificate, lower-case hex. */
  readonly fingerprint: string;
}

/** How a caller stands in the audit log. */
export function actorOf({ role, name, fingerprint }: Caller) {
  return { role, name, certificate: fingerprint };
}

const services: readonly string[] = ['ingress', 'crypto-worker', 'egress'];

/** The caller, or undefined for a connection that has none: no certificate, not valid now, refused, or made for something else. */
export function callerOf(socket: Socket, now: Date, refused: readonly string[]): Caller | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const shown = known.get(socket) ?? read(socket);
  if (!shown || now < shown.from || now > shown.to || refused.includes(shown.caller.fingerprint)) return undefined;
  known.set(socket, shown);
  return shown.caller;
}

interface Shown {
  readonly caller: Caller;
  readonly from: Date;
  readonly to: Date;
}

/** What a connection's certificate says: TLS 1.3 cannot change it afterwards, and reading it costs as much as a signature. */
const known = new WeakMap<TLSSocket, Shown>();

function read(socket: TLSSocket): Shown | undefined {
  const certificate = socket.getPeerX509Certificate();
  const named = certificate && nameOf(certificate);
  if (!certificate || !named) return undefined;
  const fingerprint = certificate.fingerprint256.replaceAll(':', '').toLowerCase();
  return { caller: { ...named, fingerprint }, from: certificate.validFromDate, to: certificate.validToDate };
}

function nameOf({ subjectAltName }: X509Certificate): { role: ClientRole; name: string } | undefined {
  // The whole text must be the one URI: a certificate with further names was not made for this.
  const [, kind, role, name] =
    /^URI:sealpost:\/\/(service|person)\/([a-z-]+)\/([A-Za-z0-9._-]{1,128})$/.exec(subjectAltName ?? '') ?? [];
  if (!role || !name) return undefined;
  if (kind === 'person') return isPersonRole(role) ? { role, name } : undefined;
  return services.includes(role) ? { role: role as ClientRole, name } : undefined;
}
