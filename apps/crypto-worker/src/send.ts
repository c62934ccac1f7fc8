// Steps `seal` and `store`: outgoing mail becomes a blob that only the egress can read and a ticket that only a worker can sign.

import { createHash } from 'node:crypto';
import {
  type Claim,
  type DeliveryId,
  type DeliveryJob,
  deliveryId,
  envelopeHash,
  fail,
  sealMessage,
  ticketHash,
  ticketText,
} from '@sealpost/core';
import type { Loaded } from './load.ts';
import type { Outgoing } from './outgoing.ts';
import type { Worker } from './worker.ts';

export interface Departing {
  readonly message: Loaded;
  readonly claim: Claim;
  readonly outgoing: Outgoing;
}

export interface Sealed {
  readonly message: Loaded;
  readonly claim: Claim;
  readonly id: DeliveryId;
  readonly blob: Buffer;
  readonly ticket: Buffer;
}

export async function seal(worker: Worker, { message, claim, outgoing }: Departing): Promise<Sealed> {
  const { tenant, id: messageId } = message.job;
  const id = deliveryId(messageId, outgoing.id);
  const { keyId, publicKey } = await worker.keys.spoolPublicKey(tenant, 'delivery');
  const blob = sealMessage(outgoing, { keyId, tenant, id, stage: 'delivery' }, publicKey, worker.sessions);
  const ticket = await worker.tickets.sign({
    kind: 'delivery',
    tenant,
    id,
    direction: outgoing.direction,
    source: outgoing.source,
    envelopeHash: envelopeHash(outgoing.envelope),
    acceptedAt: message.acceptedAt,
    issuedAt: worker.clock.now(),
    blobHash: createHash('sha256').update(blob).digest(),
    keyId,
    previous: ticketHash(message.ticketBytes),
  });
  return { message, claim, id, blob, ticket };
}

/** Errors: `blob-unavailable`, `queue-full`; `internal` when the job is in other hands by now. */
export async function store(worker: Worker, { message, claim, id, blob, ticket }: Sealed): Promise<DeliveryJob> {
  // Whoever has the job now may have published a ticket for other bytes under this id.
  await demandClaim(claim);
  await worker.blobs.put(id, blob);
  return { v: 1, id, tenant: message.job.tenant, ticket: ticketText(ticket), settled: [], attempts: 0 };
}

/** A worker whose event loop was blocked may have lost the job to another one. */
export async function demandClaim(claim: Claim): Promise<void> {
  if (!(await claim.isHeld())) throw fail('internal');
}
