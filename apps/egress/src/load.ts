// First step: from a queued job to a genuine mail. Everything that Redis and the store hold is taken as written by an enemy until
// the ticket, the blob's hash and the envelope's hash agree (DESIGN.md, "What is authenticated").

import { createHash, timingSafeEqual } from 'node:crypto';
import {
  type BlobStore,
  type Clock,
  type DeliveryJob,
  envelopeHash,
  fail,
  type KeyService,
  openMessage,
  type TicketVerifier,
  ticketBytes,
  ticketVerifier,
} from '@sealpost/core';
import type { Mail } from './delivery.ts';
import { headerSection } from './header-section.ts';

export interface LoadTools {
  readonly keys: Pick<KeyService, 'ticketAuthorities' | 'spoolPrivateKey'>;
  readonly blobs: Pick<BlobStore, 'get'>;
  readonly clock: Clock;
  /** Tickets of older mail are refused. */
  readonly ticketLifeMs: number;
}

/**
 * Loads and verifies. Undefined where the blob is gone: finished before, or lost. Errors: `ticket-invalid`, `ticket-expired`,
 * `blob-mismatch`, `envelope-mismatch`, `sealed-malformed`, `version-unsupported`, and those of the key service and the store.
 */
export function loader({
  keys,
  blobs,
  clock,
  ticketLifeMs,
}: LoadTools): (job: DeliveryJob) => Promise<Mail | undefined> {
  let known: { readonly authorities: readonly Buffer[]; readonly verifier: TicketVerifier } | undefined;

  async function verifier(): Promise<TicketVerifier> {
    const authorities = await keys.ticketAuthorities();
    // Kept as long as the authorities are the same: it remembers the stages' certificates that it has checked.
    if (!known || !areSame(known.authorities, authorities)) {
      known = { authorities, verifier: ticketVerifier(authorities, ticketLifeMs) };
    }
    return known.verifier;
  }

  return async (job) => {
    const { id, tenant } = job;
    const tickets = await verifier();
    const ticket = tickets.verify(ticketBytes(job), { kind: 'delivery', tenant, id }, clock.now());
    const sealed = await blobs.get(id);
    if (!sealed) return undefined;
    if (!isHash(createHash('sha256').update(sealed).digest(), ticket.blobHash)) throw fail('blob-mismatch');

    const { keyId } = ticket;
    const privateKey = await keys.spoolPrivateKey(keyId);
    const { envelope, message } = openMessage(sealed, { keyId, tenant, id, stage: 'delivery' }, privateKey);
    if (!isHash(envelopeHash(envelope), ticket.envelopeHash)) throw fail('envelope-mismatch');
    return { ticket, envelope, message, headers: headerSection(message) };
  };
}

function isHash(actual: Buffer, expected: Buffer): boolean {
  return actual.length === expected.length && timingSafeEqual(actual, expected);
}

function areSame(one: readonly Buffer[], other: readonly Buffer[]): boolean {
  return one.length === other.length && one.every((der, at) => other[at]?.equals(der));
}
