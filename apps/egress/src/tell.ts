// What logs and metrics learn of a try: how each recipient fared, and where mail may have gone twice.

import type { EventName, Log } from '@sealpost/core';
import { errors } from '@sealpost/core';
import type { Telemetry } from '@sealpost/service';
import { type Delivery, mailOf, type Try } from './delivery.ts';
import type { Sent } from './send.ts';

interface Listeners {
  readonly log: Log;
  readonly telemetry: Telemetry;
  readonly clock: { now(): Date };
}

/** Label of recipients for whom no route was taken. */
const noRoute = 'none';

const eventOf: Readonly<Record<Try['kind'], EventName | undefined>> = {
  delivered: 'delivery.delivered',
  deferred: 'delivery.deferred',
  refused: 'delivery.bounced',
  parked: undefined,
};

export function tell(delivery: Delivery, { log, telemetry, clock }: Listeners): void {
  const { job, tries, settlement } = delivery;
  if (!settlement) return;
  const { ticket, envelope } = mailOf(delivery);
  const { direction, acceptedAt } = ticket;
  for (const [at, attempt] of tries) {
    const route = attempt.route ?? noRoute;
    const event = eventOf[attempt.kind];
    if (event) {
      log.event(event, {
        tenant: job.tenant,
        delivery: job.id,
        direction,
        route,
        address: envelope.recipients[at]?.address ?? '',
        ...('code' in attempt ? { code: attempt.code, smtpStatus: errors[attempt.code].smtp[1] } : {}),
        ...('reply' in attempt && attempt.reply ? { smtpStatus: attempt.reply.status } : {}),
      });
    }
    const end = settlement.settled.find((settled) => settled.at === at);
    if (end) telemetry.count('sealpost_recipients_settled_total', { direction, route, outcome: end.outcome });
    else if ('code' in attempt) telemetry.count('sealpost_deliveries_deferred_total', { route, code: attempt.code });
  }
  if (!settlement.next) {
    telemetry.observe('sealpost_message_seconds', (clock.now().getTime() - acceptedAt.getTime()) / 1_000, {
      direction,
    });
  }
}

/** A reply that never came, or a process that died after it: the mail goes again and may be there already. */
export function tellDoubt({ job, claim }: Delivery, sent: Sent, { log, telemetry }: Listeners): void {
  const repeated = claim.diedBefore > 0 ? sent.called : [];
  for (const route of new Set([...sent.doubtful, ...repeated])) {
    log.event('delivery.possible-duplicate', { tenant: job.tenant, delivery: job.id, route });
    telemetry.count('sealpost_possible_duplicates_total', { route });
  }
}
