// What logs and metrics learn of a try: how each recipient fared, and where mail may have gone twice.

import { domainOf, type EventName, errors, type Log, messageOf, type SettledRecipient } from '@sealpost/core';
import type { Telemetry } from '@sealpost/service';
import { type Delivery, mailOf, type Try } from './delivery.ts';
import type { Sent } from './send.ts';
import type { Waiting } from './waiting.ts';

interface Listeners {
  readonly log: Log;
  readonly telemetry: Telemetry;
  readonly clock: { now(): Date };
  readonly waiting: Waiting;
}

/** Label of recipients for whom no route was taken. */
export const noRoute = 'none';

export function tell(delivery: Delivery, { log, telemetry, clock, waiting }: Listeners): void {
  const { job, settlement } = delivery;
  if (!settlement) return;
  const { ticket, envelope } = mailOf(delivery);
  const { direction, acceptedAt } = ticket;
  const settledAs = new Map(settlement.settled.map(({ at, outcome }) => [at, outcome]));
  for (const [at, end] of settlement.ends) {
    const route = end.route ?? noRoute;
    const outcome = settledAs.get(at);
    const event = eventOf(end, outcome);
    if (event) {
      log.event(event, {
        tenant: job.tenant,
        message: messageOf(job.id),
        delivery: job.id,
        direction,
        route,
        address: envelope.recipients[at]?.address ?? '',
        ...('code' in end ? { code: end.code, smtpStatus: errors[end.code].smtp[1] } : {}),
        ...('reply' in end && end.reply ? { smtpStatus: end.reply.status } : {}),
      });
    }
    if (outcome) telemetry.count('sealpost_recipients_settled_total', { direction, route, outcome });
    if (outcome === 'bounced' && 'code' in end)
      telemetry.count('sealpost_bounces_total', { stage: 'delivery', code: end.code });
    if (!outcome && 'code' in end) telemetry.count('sealpost_deliveries_deferred_total', { route, code: end.code });
  }
  const waiters = [...settlement.ends].flatMap(([at, { route = noRoute }]) =>
    settledAs.has(at) ? [] : [{ route, domain: domainOf(envelope.recipients[at]?.address ?? '') }],
  );
  waiting.note(job.id, acceptedAt, settlement.next?.at ?? clock.now(), waiters);
  if (!settlement.next) {
    telemetry.observe('sealpost_message_seconds', (clock.now().getTime() - acceptedAt.getTime()) / 1_000, {
      direction,
    });
  }
}

/** What is set aside or merely waits for a place is told by the queue. */
function eventOf({ kind }: Try, outcome: SettledRecipient['outcome'] | undefined): EventName | undefined {
  if (outcome === 'delivered') return 'delivery.delivered';
  if (outcome === 'bounced') return 'delivery.bounced';
  return kind === 'deferred' ? 'delivery.deferred' : undefined;
}

/** A reply that never came, or a process that died after it: the mail goes again and may be there already. */
export function tellDoubt({ job, claim }: Delivery, sent: Sent, { log, telemetry }: Listeners): void {
  const repeated = claim.diedBefore > 0 ? sent.called : [];
  for (const route of new Set([...sent.doubtful, ...repeated])) {
    log.event('delivery.possible-duplicate', {
      tenant: job.tenant,
      message: messageOf(job.id),
      delivery: job.id,
      route,
    });
    telemetry.count('sealpost_possible_duplicates_total', { route });
  }
}
