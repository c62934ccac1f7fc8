// Ticket keys: a stage makes its key in its own memory and gets it certified for its role; an operator gets a release for mail
// that was set aside, signed by the service itself.

import type { X509Certificate } from 'node:crypto';
import {
  fail,
  readFrame,
  signTicket,
  type Ticket,
  type TicketKind,
  type TicketVerifier,
  tenantId,
  ticketHash,
} from '@sealpost/core';
import { KeyFault } from '@sealpost/service';
import { importPublicKey } from '@sealpost/smime';
import { isPersonRole, issueTicketCertificate } from '../authority/service-authority.ts';
import type { Operation } from './operation.ts';

/** Fields of a ticket's frame (core/ticket.ts): kind, tenant, id first. */
const leadingFields = 3;

export const ticketCertificate: Operation<'ticket-certificate'> = {
  subject: ({ instance }) => ({ instance }),
  async run({ instance, publicKey }, { caller, store, note }) {
    const key = ticketKey(publicKey);
    if (isPersonRole(caller.role)) throw new KeyFault('forbidden');
    const certificate = await issueTicketCertificate(store.serviceAuthority, caller.role, instance, key);
    note({ certificate: certificate.fingerprint, until: certificate.notAfter.toISOString() });
    return { certificate: certificate.der, notAfter: certificate.notAfter };
  },
};

export const authorities: Operation<'authorities'> = {
  run: (_, { store }) => ({ certificates: [store.serviceAuthority.certificate.der] }),
};

export const releaseTicket: Operation<'release-ticket'> = {
  subject: ({ ticket }) => namedBy(ticket),
  async run({ message, ticket: bytes }, { store, now }) {
    const ticket = verifiedTicket(bytes, 'crypto', store.tickets, now);
    if (ticket.id !== message) throw fail('ticket-invalid');
    const release: Ticket = {
      ...ticket,
      kind: 'release',
      issuedAt: now,
      previous: ticketHash(bytes),
    };
    return { ticket: signTicket(release, await store.releaseSigner()) };
  },
};

/** A ticket of this kind that a stage signed, for the tenant and id that it names. Errors: those of core's verifier. */
export function verifiedTicket(bytes: Buffer, kind: TicketKind, verifier: TicketVerifier, now: Date): Ticket {
  const { tenant, message: id } = namedBy(bytes);
  return verifier.verify(bytes, { kind, tenant: tenantId(tenant), id }, now);
}

/** What a ticket claims to be about, for the audit log too: bounded and of the right form, but not proven. */
export function namedBy(bytes: Buffer): { tenant: string; message: string } {
  const [, tenant, id] = leading(bytes).map((field) => field.toString('latin1'));
  if (!tenant || !id || !/^[a-z][a-z0-9-]{0,62}$/.test(tenant) || !/^[a-z0-9-]{1,80}$/.test(id))
    throw fail('ticket-invalid');
  return { tenant, message: id };
}

function leading(bytes: Buffer): readonly Buffer[] {
  try {
    return readFrame(bytes, leadingFields).fields;
  } catch {
    throw fail('ticket-invalid');
  }
}

function ticketKey(spki: Buffer): X509Certificate['publicKey'] {
  let key: X509Certificate['publicKey'];
  try {
    key = importPublicKey(spki);
  } catch {
    throw new KeyFault('request-malformed');
  }
  if (key.asymmetricKeyType !== 'ed25519') throw new KeyFault('request-malformed');
  return key;
}
