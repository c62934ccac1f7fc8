// What the steps of one try pass on: the job in hand, the mail once it is loaded, and what became of each recipient.

import type { Claim, DeliveryJob, DsnRecipient, Envelope, ErrorCode, Outcome, Ticket } from '@sealpost/core';
import { fail } from '@sealpost/core';
import type { Result } from './transaction.ts';

/** A genuine mail: its ticket was verified, its blob is the one that the ticket names. */
export interface Mail {
  readonly ticket: Ticket;
  readonly envelope: Envelope;
  /** As it was sealed. */
  readonly message: Buffer;
  /** Its outer header section. */
  readonly headers: Buffer;
}

/** One recipient's end of this try. */
export type Try = (Result | { readonly kind: 'parked'; readonly at: Date; readonly code: ErrorCode }) & {
  /** Absent where no route fits. */
  readonly route?: string | undefined;
};

export interface Delivery {
  readonly job: DeliveryJob;
  readonly claim: Claim;
  readonly mail: Mail | undefined;
  /** Our own field, to be put above everything. */
  readonly marker: Buffer;
  /** What was tried in this run, by place in the envelope. */
  readonly tries: ReadonlyMap<number, Try>;
  readonly settlement: Settlement | undefined;
  readonly outcome: Outcome<DeliveryJob> | undefined;
}

/** What the sender is told about one recipient, by place in the envelope. */
export interface Notice {
  readonly at: number;
  readonly dsn: DsnRecipient;
}

/** Who is finished after this try, and what has to be told about it. */
export interface Settlement {
  readonly settled: DeliveryJob['settled'];
  /** How each recipient of this try ended, by place in the envelope; a try whose time is over ended as refused. */
  readonly ends: ReadonlyMap<number, Try>;
  readonly notices: readonly Notice[];
  /** A next hop was reached or at least called. */
  readonly attempted: boolean;
  /** When those who are not finished are tried again. */
  readonly next?: { readonly at: Date; readonly code: ErrorCode } | undefined;
}

export function begin(job: DeliveryJob, claim: Claim): Delivery {
  return {
    job,
    claim,
    mail: undefined,
    marker: Buffer.alloc(0),
    tries: new Map(),
    settlement: undefined,
    outcome: undefined,
  };
}

/** The mail of a delivery behind its load step. */
export function mailOf({ mail }: Delivery): Mail {
  if (!mail) throw fail('internal');
  return mail;
}

/** Places of recipients who wait: neither finished before nor tried in this run. */
export function pendingOf(delivery: Delivery): number[] {
  const finished = new Set(delivery.job.settled.map(({ at }) => at));
  return mailOf(delivery)
    .envelope.recipients.map((_, at) => at)
    .filter((at) => !finished.has(at) && !delivery.tries.has(at));
}
