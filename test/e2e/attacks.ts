// What somebody who can write to Redis and the blob store can do to a mail that waits for a stage, and the code with which it ends
// in quarantine.

import assert from 'node:assert/strict';
import {
  type CryptoJob,
  type DeliveryJob,
  deliveryId,
  type ErrorCode,
  messageId,
  newMessageId,
  type StageName,
  tenantId,
  ticketBytes,
  ticketText,
} from '@sealpost/core';
import { type Attacker, copiedSigner, forgedTicket, type StageJob, selfMadeSigner } from './attacker.ts';

/** A mail that waits for a stage. */
export interface Waiting<Job> {
  readonly id: string;
  readonly job: Job;
  /** Its one recipient, who gets no other mail. */
  readonly to: string;
}

export const idOf: Readonly<Record<StageName, (message: string) => string>> = {
  crypto: (id: string) => id,
  delivery: (id: string) => deliveryId(messageId(id), 'g0'),
};

/** What a reader of Redis kept of earlier mail. */
export interface Loot {
  /** A message that was delivered since, as it waited for the worker and for the egress. */
  readonly crypto: { readonly job: CryptoJob; readonly blob: Buffer };
  readonly delivery: { readonly job: DeliveryJob; readonly blob: Buffer };
  /** Its recipient. */
  readonly to: string;
  /** A message in quarantine, and its stored plan. */
  readonly aside: string;
  readonly plan: Buffer;
  /** Of a message that an operator released: its plan and the release. */
  readonly otherPlan: Buffer;
  readonly release: string;
}

export interface Attack<Job> {
  readonly code: ErrorCode;
  /** Ids that must end in quarantine; left out: the victim's. */
  run(victim: Waiting<Job>, other: Waiting<Job>): Promise<readonly string[] | undefined>;
}
export type Attacks<Job> = Readonly<Record<string, Attack<Job>>>;

const victimOnly = undefined;
/** Places in a ticket of some 700 bytes, from the kind at its begin to the signature at its end; the first two bytes are the version. */
const flips = [5, 30, 60, 90, 130, 200, 300, 420, -64, -1];

const flipped = (bytes: Buffer, at: number): Buffer => {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
};

export async function blobOf(attacker: Attacker, id: string): Promise<Buffer> {
  const blob = await attacker.blobs.get(id);
  assert.ok(blob);
  return blob;
}

async function swapBlobs(attacker: Attacker, one: string, other: string): Promise<void> {
  const [first, second] = [await blobOf(attacker, one), await blobOf(attacker, other)];
  await attacker.blobs.put(one, second);
  await attacker.blobs.put(other, first);
}

/** What can be done to a waiting job of either stage. */
export function attacksOn<S extends StageName>(stage: S, attacker: Attacker, loot: Loot): Attacks<StageJob[S]> {
  type Job = StageJob[S];
  const role = stage === 'crypto' ? 'ingress' : 'crypto-worker';
  const rewrite = (id: string, job: Job, change: Partial<CryptoJob & DeliveryJob>): Promise<void> =>
    attacker.overwrite(stage, id, { ...job, ...change });
  const resealed = async ({ id, job }: Waiting<Job>, ticketFor?: (job: Job) => Parameters<typeof forgedTicket>[1]) => {
    const { blob, ticket } = await attacker.sealed(stage, id);
    await attacker.blobs.put(id, blob);
    if (ticketFor) await rewrite(id, job, { ticket: forgedTicket(ticket, ticketFor(job)) });
    return victimOnly;
  };
  return {
    'a blob sealed anew with another envelope': { code: 'blob-mismatch', run: (victim) => resealed(victim) },
    'the same with a ticket of a self-made stage': {
      code: 'ticket-invalid',
      run: (victim) => resealed(victim, () => selfMadeSigner(role)),
    },
    'the same with the genuine certificate, copied': {
      code: 'ticket-invalid',
      run: (victim) => resealed(victim, (job) => copiedSigner(job, role)),
    },
    'the same with the certificate of the wrong role, copied': {
      code: 'ticket-invalid',
      run: (victim) => resealed(victim, () => copiedSigner(loot[stage === 'crypto' ? 'delivery' : 'crypto'].job, role)),
    },
    'another tenant': {
      code: 'ticket-invalid',
      run: async ({ id, job }) => {
        await rewrite(id, job, { tenant: tenantId('beta-test') });
        return victimOnly;
      },
    },
    'another id, its ticket and blob along with it': {
      code: 'ticket-invalid',
      run: async ({ id, job }) => {
        const moved = idOf[stage](newMessageId(new Date()));
        await attacker.blobs.put(moved, await blobOf(attacker, id));
        await attacker.publish(stage, { ...job, id: moved });
        return [moved];
      },
    },
    'an id in the data that is not the id of the job': {
      code: 'job-malformed',
      run: async ({ id, job }, other) => {
        await attacker.overwrite(stage, id, { ...job, id: other.id });
        return victimOnly;
      },
    },
    ...Object.fromEntries(
      flips.map((at) => [
        `a bit of the ticket, byte ${at}`,
        {
          code: 'ticket-invalid',
          run: async ({ id, job }) => {
            const bytes = ticketBytes(job);
            await rewrite(id, job, { ticket: ticketText(flipped(bytes, at < 0 ? bytes.length + at : at)) });
            return victimOnly;
          },
        } satisfies Attack<Job>,
      ]),
    ),
    'a bit of the blob': {
      code: 'blob-mismatch',
      run: async ({ id }) => {
        const blob = await blobOf(attacker, id);
        await attacker.blobs.put(id, flipped(blob, blob.length - 1));
        return victimOnly;
      },
    },
    'half of the blob': {
      code: 'blob-mismatch',
      run: async ({ id }) => {
        const blob = await blobOf(attacker, id);
        await attacker.blobs.put(id, blob.subarray(0, blob.length / 2));
        return victimOnly;
      },
    },
    'no blob': {
      code: 'blob-missing',
      run: async ({ id }) => {
        await attacker.blobs.remove(id);
        return victimOnly;
      },
    },
    'the blobs of two mails, swapped': {
      code: 'blob-mismatch',
      run: async (victim, other) => {
        await swapBlobs(attacker, victim.id, other.id);
        return [victim.id, other.id];
      },
    },
    'the tickets of two mails, swapped': {
      code: 'ticket-invalid',
      run: async (victim, other) => {
        await rewrite(victim.id, victim.job, { ticket: other.job.ticket });
        await rewrite(other.id, other.job, { ticket: victim.job.ticket });
        return [victim.id, other.id];
      },
    },
    'the tickets and blobs of two mails, swapped': {
      code: 'ticket-invalid',
      run: async (victim, other) => {
        await swapBlobs(attacker, victim.id, other.id);
        await rewrite(victim.id, victim.job, { ticket: other.job.ticket });
        await rewrite(other.id, other.job, { ticket: victim.job.ticket });
        return [victim.id, other.id];
      },
    },
    'the blob of a mail that is delivered, put back': {
      code: 'blob-mismatch',
      run: async ({ id }) => {
        await attacker.blobs.put(id, loot[stage].blob);
        return victimOnly;
      },
    },
    'a mail from nothing': {
      code: 'ticket-invalid',
      run: async () => {
        const id = idOf[stage](newMessageId(new Date()));
        const { blob, ticket } = await attacker.sealed(stage, id);
        await attacker.blobs.put(id, blob);
        const base = { v: 1, tenant: ticket.tenant, ticket: forgedTicket(ticket, selfMadeSigner(role)) };
        await attacker.publish(stage, { ...base, id, settled: [], attempts: 0 });
        return [id];
      },
    },
    'a mail from nothing, with the ticket of another one': {
      code: 'ticket-invalid',
      run: async (_, other) => {
        const id = idOf[stage](newMessageId(new Date()));
        await attacker.blobs.put(id, (await attacker.sealed(stage, id)).blob);
        await attacker.publish(stage, { ...other.job, id });
        return [id];
      },
    },
  };
}

/** What can only be done to a message on its way to the worker. */
export function attacksOnMessages(attacker: Attacker, loot: Loot): Attacks<CryptoJob> {
  return {
    'a stored plan of another message': {
      code: 'ticket-invalid',
      run: async ({ id }) => {
        await attacker.blobs.put(`plan-${id}`, loot.plan);
        return victimOnly;
      },
    },
    'a stored plan of nobody': {
      code: 'plan-invalid',
      run: async ({ id }) => {
        await attacker.blobs.put(`plan-${id}`, Buffer.from('x'));
        return victimOnly;
      },
    },
    'a delivery in the place of a message': {
      code: 'job-malformed',
      run: async ({ id }) => {
        await attacker.overwrite('crypto', id, loot.delivery.job);
        return victimOnly;
      },
    },
    'the ticket of a delivery': {
      code: 'ticket-invalid',
      run: async ({ id, job }) => {
        await attacker.overwrite('crypto', id, { ...job, ticket: loot.delivery.job.ticket });
        return victimOnly;
      },
    },
    'a release of the attacker': {
      code: 'ticket-invalid',
      run: async ({ id, job }) => {
        const { ticket } = await attacker.sealed('crypto', id);
        const release = forgedTicket({ ...ticket, kind: 'release' }, selfMadeSigner('key-service'));
        await attacker.overwrite('crypto', id, { ...job, release });
        return victimOnly;
      },
    },
    'its own ticket as a release': {
      code: 'ticket-invalid',
      run: async ({ id, job }) => {
        await attacker.overwrite('crypto', id, { ...job, release: job.ticket });
        return victimOnly;
      },
    },
    "another message's genuine release": {
      code: 'ticket-invalid',
      run: async ({ id, job }) => {
        await attacker.overwrite('crypto', id, { ...job, release: loot.release });
        return victimOnly;
      },
    },
    'data that is no JSON': {
      code: 'job-malformed',
      run: async ({ id }) => {
        await attacker.overwrite('crypto', id, '{"v":1,');
        return victimOnly;
      },
    },
  };
}

/** What can only be done to a delivery on its way to the egress. */
export function attacksOnDeliveries(attacker: Attacker, loot: Loot): Attacks<DeliveryJob> {
  return {
    'a message in the place of a delivery': {
      code: 'job-malformed',
      run: async ({ id }) => {
        await attacker.overwrite('delivery', id, loot.crypto.job);
        return victimOnly;
      },
    },
    'a message that was never protected, moved past the worker': {
      code: 'ticket-invalid',
      run: async () => {
        const { job, blob } = loot.crypto;
        const id = deliveryId(messageId(job.id), 'g7');
        await attacker.blobs.put(id, blob);
        await attacker.publish('delivery', { ...job, id, settled: [], attempts: 0 });
        return [id];
      },
    },
    'a group that the plan does not have': {
      code: 'ticket-invalid',
      run: async ({ id, job }) => {
        const more = deliveryId(messageId(id.slice(0, 32)), 'g1');
        await attacker.blobs.put(more, await blobOf(attacker, id));
        await attacker.publish('delivery', { ...job, id: more });
        return [more];
      },
    },
    'recipients settled as quarantined': {
      code: 'bounce-undeliverable',
      run: async ({ id, job }) => {
        await attacker.overwrite('delivery', id, { ...job, settled: [{ at: 0, outcome: 'quarantined' }] });
        return victimOnly;
      },
    },
  };
}
