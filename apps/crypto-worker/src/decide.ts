// Step `decide`: gathers the facts, asks `decide(facts)`, and stores the plan once, sealed and with a ticket of its own. Whatever
// is stored first counts: a retry that regrouped recipients by what it finds now would lose or double mail.

import { createHash } from 'node:crypto';
import {
  type CryptoJob,
  decide,
  decodePlan,
  encodePlan,
  fail,
  openBytes,
  type Plan,
  sealBytes,
  type TenantPolicy,
  ticketHash,
} from '@sealpost/core';
import type { Classified } from './classify.ts';
import { gatherFacts } from './facts.ts';
import type { Loaded } from './load.ts';
import { planBlob, type Worker } from './worker.ts';

export interface Decided extends Classified {
  readonly plan: Plan;
  /** False when an earlier try stored the plan and may have published some of it. */
  readonly isFirstTry: boolean;
}

/** Errors: `plan-invalid`, and what the key service and the store throw. */
export async function decideOnce(worker: Worker, classified: Classified): Promise<Decided> {
  const { job } = classified;
  const { facts } = await gatherFacts({
    certificates: worker.keys,
    tenant: job.tenant,
    policy: policyOf(worker, job),
    direction: classified.ticket.direction,
    envelope: classified.envelope,
    classification: classified.classification,
    now: worker.clock.now(),
  });
  const plan = decide(facts);
  const record = await writePlan(worker, classified, plan);
  const stored = await worker.blobs.putOnce(planBlob(job.id), record);
  if (stored.equals(record)) return { ...classified, plan, isFirstTry: true };
  return { ...classified, plan: await readPlan(worker, classified, stored), isFirstTry: false };
}

/** A tenant that left the configuration while its mail was queued: an operator has to look. */
export function policyOf(worker: Worker, job: CryptoJob): TenantPolicy {
  const policy = worker.policies.get(job.tenant);
  if (!policy) throw fail('internal');
  return policy;
}

/** 16-bit length of the ticket, the ticket, the sealed plan. */
async function writePlan(worker: Worker, loaded: Loaded, plan: Plan): Promise<Buffer> {
  const { job, ticket } = loaded;
  const { keyId, publicKey } = await worker.keys.spoolPublicKey(job.tenant, 'crypto');
  const sealed = sealBytes([encodePlan(plan)], planContext(loaded, keyId), publicKey, worker.sessions);
  const planTicket = await worker.tickets.sign({
    ...ticket,
    kind: 'plan',
    issuedAt: worker.clock.now(),
    blobHash: createHash('sha256').update(sealed).digest(),
    keyId,
    previous: ticketHash(loaded.ticketBytes),
  });
  const length = Buffer.alloc(2);
  length.writeUInt16BE(planTicket.length);
  return Buffer.concat([length, planTicket, sealed]);
}

/** The stored plan, if a worker stored it for exactly this message as ingress accepted it. */
async function readPlan(worker: Worker, loaded: Loaded, record: Buffer): Promise<Plan> {
  const { job, ticket, envelope } = loaded;
  if (record.length < 2) throw fail('plan-invalid');
  const end = 2 + record.readUInt16BE(0);
  const sealed = record.subarray(end);
  const verifier = await worker.tickets.verifier();
  const expected = { kind: 'plan', tenant: job.tenant, id: job.id } as const;
  const planTicket = verifier.verify(record.subarray(2, end), expected, worker.clock.now());
  const isOurs =
    planTicket.previous.equals(ticketHash(loaded.ticketBytes)) &&
    planTicket.envelopeHash.equals(ticket.envelopeHash) &&
    planTicket.blobHash.equals(createHash('sha256').update(sealed).digest());
  if (!isOurs) throw fail('plan-invalid');
  const privateKey = await worker.keys.spoolPrivateKey(planTicket.keyId);
  const plan = decodePlan(
    openBytes(sealed, planContext(loaded, planTicket.keyId), privateKey),
    envelope.recipients.length,
  );
  if (plan.direction !== ticket.direction) throw fail('plan-invalid');
  return plan;
}

function planContext({ job }: Loaded, keyId: Loaded['ticket']['keyId']) {
  return { keyId, tenant: job.tenant, id: `${job.id}.plan`, stage: 'crypto' } as const;
}
