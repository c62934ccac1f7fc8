// The ticket: what makes a job genuine. A stage signs (Ed25519, RFC 8032) over everything that must not be forged, redirected
// or swapped by somebody who can write to Redis. The stage's key is made fresh in its memory at start and certified by the
// key service's service CA; the certificate travels in the ticket.

import { createHash, type KeyObject, sign, verify, X509Certificate } from 'node:crypto';
import { fail } from './errors.ts';
import { type Direction, type KeyId, type ServiceRole, type StageName, type TenantId, tenantId } from './ids.ts';
import { readFrame, readTimeField, timeField, writeFrame } from './wire.ts';

const ticketVersion = 1;
/** Ed25519 by a certified stage key. */
const ticketSuite = 1;
const fieldCount = 13;
const signatureLength = 64;
/** A ticket is a few hundred bytes and one small certificate; more is not a ticket. */
const maxTicket = 8 * 1024;
/** Clocks of one installation differ by less than this. */
const clockSkewMs = 5 * 60_000;
const domain = Buffer.from('sealpost ticket\0');
/** Certificates are verified once and remembered; a cluster has fewer stages alive than this. */
const maxRememberedSigners = 512;

/** What a ticket speaks for: a message for a stage, the plan that the worker stored for it, an operator's word to let it go. */
export type TicketKind = StageName | 'plan' | 'release';

export interface Ticket {
  readonly kind: TicketKind;
  readonly tenant: TenantId;
  /** Message id, or delivery id for `delivery`. */
  readonly id: string;
  readonly direction: Direction;
  /** The configured source that handed the mail in, `world` for inbound, `gateway` for our own reports. */
  readonly source: string;
  /** SHA-256 of the canonical envelope. */
  readonly envelopeHash: Buffer;
  /** When ingress answered for the message; its age counts from here through all stages. */
  readonly acceptedAt: Date;
  readonly issuedAt: Date;
  /** SHA-256 of the sealed blob. */
  readonly blobHash: Buffer;
  /** The spool key that the blob is sealed to. */
  readonly keyId: KeyId;
  /** SHA-256 of the previous stage's ticket; empty for the first. */
  readonly previous: Buffer;
}

/** Extended key usage of ticket keys: private, so that such a certificate is good for nothing else. */
export const TICKET_PURPOSE = '2.25.762885091463435639846828572479249219';

/** A stage's certified ticket key. */
export interface TicketSigner {
  readonly role: ServiceRole;
  /** DER of the certificate over the Ed25519 key, with the URI `sealpost://ticket/<role>/<instance>`. */
  readonly certificate: Buffer;
  readonly privateKey: KeyObject;
}

/** Who may sign a ticket of which kind. Egress signs deliveries for the reports that it makes. */
const signersOf: Record<TicketKind, readonly string[]> = {
  crypto: ['ingress'],
  plan: ['crypto-worker'],
  delivery: ['crypto-worker', 'egress'],
  release: ['key-service'],
};

/** Signs a ticket; the result is what jobs carry, base64url for JSON. */
export function signTicket(ticket: Ticket, signer: TicketSigner): Buffer {
  const body = writeFrame(ticketVersion, ticketSuite, [
    ticket.kind,
    ticket.tenant,
    ticket.id,
    ticket.direction,
    ticket.source,
    ticket.envelopeHash,
    timeField(ticket.acceptedAt),
    timeField(ticket.issuedAt),
    ticket.blobHash,
    ticket.keyId,
    ticket.previous,
    signer.role,
    signer.certificate,
  ]);
  return Buffer.concat([body, sign(null, Buffer.concat([domain, body]), signer.privateKey)]);
}

/** SHA-256 of a whole ticket, for the next stage's `previous`. */
export function ticketHash(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}

export interface TicketVerifier {
  /**
   * The ticket, if a stage that may sign this kind signed it and it is not older than mail may wait.
   * Errors: `version-unsupported`, `ticket-invalid`, `ticket-expired`.
   */
  verify(bytes: Buffer, expected: { kind: TicketKind; tenant: TenantId; id: string }, now: Date): Ticket;
}

/** `authorities`: DER of the service CA's certificates; `maxAgeMs`: the longest queue life. */
export function ticketVerifier(authorities: readonly Buffer[], maxAgeMs: number): TicketVerifier {
  const roots = authorities.map((der) => new X509Certificate(der));
  const remembered = new Map<string, CertifiedStage>();

  function stageOf(der: Buffer): CertifiedStage {
    const id = createHash('sha256').update(der).digest('base64');
    const known = remembered.get(id);
    if (known) return known;
    const stage = certifiedStage(der, roots);
    if (remembered.size >= maxRememberedSigners) remembered.clear();
    remembered.set(id, stage);
    return stage;
  }

  return {
    verify(bytes, expected, now) {
      if (bytes.length > maxTicket || bytes.length < signatureLength + 2) throw fail('ticket-invalid');
      if (bytes[0] !== ticketVersion || bytes[1] !== ticketSuite) throw fail('version-unsupported');
      const { ticket, body, role, certificate } = parse(bytes);
      const stage = stageOf(certificate);
      if (stage.role !== role || !signersOf[ticket.kind].includes(role)) throw fail('ticket-invalid');
      const signature = bytes.subarray(body.length);
      if (!verify(null, Buffer.concat([domain, body]), stage.key, signature)) throw fail('ticket-invalid');
      if (ticket.kind !== expected.kind || ticket.tenant !== expected.tenant || ticket.id !== expected.id) {
        throw fail('ticket-invalid');
      }
      const issued = ticket.issuedAt.getTime();
      if (issued < stage.notBefore - clockSkewMs || issued > stage.notAfter) throw fail('ticket-invalid');
      if (issued > now.getTime() + clockSkewMs || ticket.acceptedAt.getTime() > issued + clockSkewMs)
        throw fail('ticket-invalid');
      if (now.getTime() - ticket.acceptedAt.getTime() > maxAgeMs) throw fail('ticket-expired');
      return ticket;
    },
  };
}

interface CertifiedStage {
  readonly role: string;
  readonly key: KeyObject;
  readonly notBefore: number;
  readonly notAfter: number;
}

function certifiedStage(der: Buffer, roots: readonly X509Certificate[]): CertifiedStage {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(der);
  } catch {
    throw fail('ticket-invalid');
  }
  const issued = roots.some((root) => certificate.checkIssued(root) && certificate.verify(root.publicKey));
  const name = /^URI:sealpost:\/\/ticket\/([a-z-]+)\/[A-Za-z0-9._-]+$/.exec(certificate.subjectAltName ?? '');
  if (!issued || certificate.ca || !name?.[1] || certificate.publicKey.asymmetricKeyType !== 'ed25519')
    throw fail('ticket-invalid');
  return {
    role: name[1],
    key: certificate.publicKey,
    notBefore: certificate.validFromDate.getTime(),
    notAfter: certificate.validToDate.getTime(),
  };
}

/** Reads the fields in the order in which `signTicket` writes them. */
function parse(bytes: Buffer): { ticket: Ticket; body: Buffer; role: string; certificate: Buffer } {
  try {
    const frame = readFrame(bytes, fieldCount);
    if (bytes.length - frame.end !== signatureLength) throw fail('ticket-invalid');
    const fields = frame.fields.values();
    const next = (): Buffer => fields.next().value ?? Buffer.alloc(0);
    return {
      ticket: {
        kind: word(next(), ['crypto', 'delivery', 'plan', 'release']),
        tenant: tenantId(next().toString()),
        id: next().toString(),
        direction: word(next(), ['outbound', 'inbound']),
        source: next().toString(),
        envelopeHash: next(),
        acceptedAt: readTimeField(next()),
        issuedAt: readTimeField(next()),
        blobHash: next(),
        keyId: next().toString() as KeyId,
        previous: next(),
      },
      role: next().toString(),
      certificate: next(),
      body: bytes.subarray(0, frame.end),
    };
  } catch {
    throw fail('ticket-invalid');
  }
}

function word<W extends string>(bytes: Buffer, words: readonly W[]): W {
  const text = bytes.toString();
  const found = words.find((candidate) => candidate === text);
  if (!found) throw fail('ticket-invalid');
  return found;
}
