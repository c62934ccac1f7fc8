// Step `load`: from a job that anybody with Redis could have written to a message that ingress vouched for. Ticket first, then the
// bytes that it names, then the envelope inside them.

import { createHash } from 'node:crypto';
import {
  type CryptoJob,
  type Envelope,
  envelopeHash,
  fail,
  openMessage,
  type Ticket,
  ticketBytes,
} from '@sealpost/core';
import type { Worker } from './worker.ts';

/** A genuine message, as the steps after this one see it. */
export interface Loaded {
  readonly job: CryptoJob;
  /** The ingress' ticket, verified, and its bytes. */
  readonly ticket: Ticket;
  readonly ticketBytes: Buffer;
  readonly envelope: Envelope;
  readonly message: Buffer;
  /** From when the message's age counts downstream: when ingress took it, or when an operator released it. */
  readonly acceptedAt: Date;
  /** An operator let it go as it is. */
  readonly released: boolean;
}

/** Errors: `ticket-invalid`, `ticket-expired`, `blob-missing`, `blob-mismatch`, `sealed-malformed`, `envelope-mismatch`. */
export async function load(worker: Worker, job: CryptoJob): Promise<Loaded> {
  const release = job.release === undefined ? undefined : await releaseOf(worker, job, job.release);
  const verifier = await worker.tickets.verifier();
  const bytes = ticketBytes(job);
  const ticket = verifier.verify(bytes, { kind: 'crypto', tenant: job.tenant, id: job.id }, worker.clock.now());
  if (release && !release.blobHash.equals(ticket.blobHash)) throw fail('ticket-invalid');

  const sealed = await worker.blobs.get(job.id);
  if (!sealed) throw fail('blob-missing');
  if (!createHash('sha256').update(sealed).digest().equals(ticket.blobHash)) throw fail('blob-mismatch');
  const context = { keyId: ticket.keyId, tenant: job.tenant, id: job.id, stage: 'crypto' } as const;
  const { envelope, message } = openMessage(sealed, context, await worker.keys.spoolPrivateKey(ticket.keyId));
  if (!envelopeHash(envelope).equals(ticket.envelopeHash)) throw fail('envelope-mismatch');
  return {
    job,
    ticket,
    ticketBytes: bytes,
    envelope,
    message,
    // Released mail may be older than mail is tried; the operator's word starts its life anew.
    acceptedAt: release?.issuedAt ?? ticket.acceptedAt,
    released: release !== undefined,
  };
}

async function releaseOf(worker: Worker, job: CryptoJob, release: string): Promise<Ticket> {
  const verifier = await worker.tickets.verifier();
  const expected = { kind: 'release', tenant: job.tenant, id: job.id } as const;
  return verifier.verify(ticketBytes({ ticket: release }), expected, worker.clock.now());
}
