// The step that hands the mail on: recipients by route, routes side by side, each recipient's reply brought back to its place.

import { isAscii } from 'node:buffer';
import type { Delivery, Try } from './delivery.ts';
import { mailOf, pendingOf } from './delivery.ts';
import type { Attempt, NextHop } from './next-hop.ts';
import { routeFor } from './route.ts';
import type { Transaction } from './transaction.ts';

/** Recipients who go to the next hop in one transaction, by their places in the envelope. */
interface Batch {
  readonly hop: NextHop;
  readonly places: readonly number[];
}

export interface Sent {
  readonly tries: ReadonlyMap<number, Try>;
  /** Routes on which the next hop may have taken the mail without our knowing. */
  readonly doubtful: readonly string[];
  /** Routes that called their next hop. */
  readonly called: readonly string[];
  /** Another process holds the job now. */
  readonly fenced: boolean;
}

/** Sends to all who wait. Never throws for what a next hop does. */
export async function send(delivery: Delivery, hops: readonly NextHop[]): Promise<Sent> {
  const { batches, routeless } = intoBatches(delivery, hops);
  const attempts = await Promise.all(
    batches.map(async (batch) => ({
      ...batch,
      attempt: await batch.hop.deliver(transactionOf(delivery, batch.places)),
    })),
  );
  const routesWhere = (isMeant: (attempt: Attempt) => boolean) => [
    ...new Set(attempts.filter(({ attempt }) => isMeant(attempt)).map(({ hop }) => hop.name)),
  ];
  return {
    tries: new Map([
      ...routeless.map((place): [number, Try] => [place, { kind: 'deferred', code: 'route-missing' }]),
      ...attempts.flatMap(({ hop, places, attempt }) =>
        places.map((place, index): [number, Try] => [place, { ...resultOf(attempt, index), route: hop.name }]),
      ),
    ]),
    doubtful: routesWhere((attempt) => attempt.kind === 'answered' && attempt.result.doubtful),
    called: routesWhere((attempt) => attempt.kind !== 'parked'),
    fenced: attempts.some(({ attempt }) => attempt.kind === 'answered' && attempt.result.fenced),
  };
}

function resultOf(attempt: Attempt, index: number): Try {
  switch (attempt.kind) {
    case 'answered':
      return attempt.result.results[index] ?? { kind: 'deferred', code: 'internal' };
    case 'unreached':
      return { kind: 'deferred', code: attempt.code };
    case 'parked':
      return attempt;
  }
}

function intoBatches(delivery: Delivery, hops: readonly NextHop[]): { batches: Batch[]; routeless: number[] } {
  const { ticket, envelope } = mailOf(delivery);
  const routed = Map.groupBy(pendingOf(delivery), (place) =>
    routeFor(hops, ticket.direction, envelope.recipients[place]?.address ?? ''),
  );
  const batches = [...routed].flatMap(([hop, places]) =>
    hop ? chunks(places, hop.recipientsPerTransaction).map((chunk) => ({ hop, places: chunk })) : [],
  );
  return { batches, routeless: routed.get(undefined) ?? [] };
}

function chunks(places: readonly number[], length: number): number[][] {
  return Array.from({ length: Math.ceil(places.length / length) }, (_, at) =>
    places.slice(at * length, (at + 1) * length),
  );
}

function transactionOf(delivery: Delivery, places: readonly number[]): Transaction {
  const { envelope, headers, message } = mailOf(delivery);
  return {
    mailFrom: envelope.mailFrom,
    recipients: places.flatMap((place) => envelope.recipients[place] ?? []),
    ret: envelope.ret,
    envid: envelope.envid,
    eightBit: envelope.eightBit,
    smtpUtf8: envelope.smtpUtf8,
    utf8Headers: !isAscii(headers),
    message: [delivery.marker, message],
    mayHandOver: () => delivery.claim.isHeld(),
  };
}
