// What leaves: routes, tries, and what comes back.

import { dashboard, lines, number, table } from './panels.ts';
import { by, quantile, total } from './queries.ts';

export const delivery = dashboard('delivery', 'delivery', {
  Now: [
    number({
      title: 'Delivered',
      about: 'Recipients a second.',
      unit: 'mps',
      queries: { delivered: total('sealpost_recipients_settled_total{outcome="delivered"}') },
    }),
    number({
      title: 'Bounced',
      about: 'Share of the recipients that were settled in the last hour. Runbook: SealpostBounceRate.',
      unit: 'percentunit',
      queries: {
        bounced:
          'sum(increase(sealpost_recipients_settled_total{outcome="bounced"}[1h])) / sum(increase(sealpost_recipients_settled_total[1h]))',
      },
      badFrom: 0.1,
    }),
    number({
      title: 'Waiting for another try',
      about: 'Deliveries that were deferred.',
      unit: 'short',
      queries: { delayed: 'max(sealpost_queue_jobs{stage="delivery", state="delayed"})' },
    }),
    number({
      title: 'Perhaps twice',
      about: 'Deliveries of the last day that were repeated although the next hop may have taken the message before.',
      unit: 'short',
      queries: { duplicates: 'sum(increase(sealpost_possible_duplicates_total[1d])) or vector(0)' },
      badFrom: 1,
    }),
  ],
  Waiting: [
    table({
      title: 'Oldest mail that waits for another try, by route',
      about: 'Age since its 250. A route whose next hop is down grows here first. Runbook: SealpostDeliveryLate.',
      unit: 's',
      queries: { oldest: 'sort_desc(max by (route) (sealpost_route_oldest_seconds))' },
    }),
    table({
      title: 'Oldest mail that waits for another try, by domain',
      about:
        'Age since its 250, of the domains that wait longest. Only with `egress.waitingDomains`: whoever sees this sees where mail goes.',
      unit: 's',
      queries: { oldest: 'sort_desc(max by (domain) (sealpost_domain_oldest_seconds))' },
    }),
    lines({
      title: 'Recipients who wait, by route',
      about: 'For another try.',
      unit: 'short',
      queries: { '{{route}}': 'sum by (route) (sealpost_route_waiting_recipients)' },
    }),
    lines({
      title: 'Recipients who wait, by domain',
      about: 'For another try, of the domains that wait longest; only with `egress.waitingDomains`.',
      unit: 'short',
      queries: { '{{domain}}': 'sum by (domain) (sealpost_domain_waiting_recipients)' },
    }),
  ],
  Routes: [
    table({
      title: 'Tries that have to be repeated, last hour',
      about: 'By route and the code that the next hop’s answer stands for (docs/errors.md).',
      unit: 'short',
      queries: { deferred: 'sum by (route, code) (increase(sealpost_deliveries_deferred_total[1h]))' },
    }),
    lines({
      title: 'Settled',
      about: 'Recipients by route and outcome.',
      unit: 'mps',
      queries: { '{{route}}, {{outcome}}': by('route, outcome', 'sealpost_recipients_settled_total') },
    }),
    table({
      title: 'Sessions by TLS, last hour',
      about:
        'With each next hop: the version, `plain` for none, or why there was no TLS. `certificate` and `refused` on a route that demands TLS is mail that waits. Runbook: SealpostNextHopDown.',
      unit: 'short',
      queries: { sessions: 'sum by (route, tls) (increase(sealpost_route_sessions_total[1h]))' },
    }),
    table({
      title: 'Bounced, last hour',
      about: 'What was sent back, by stage and code (docs/errors.md).',
      unit: 'short',
      queries: { bounced: 'sum by (stage, code) (increase(sealpost_bounces_total[1h]))' },
    }),
    lines({
      title: 'Connections',
      about: 'Open to the next hop of a route.',
      unit: 'short',
      queries: { '{{route}}': 'sum by (route) (sealpost_route_connections)' },
    }),
    lines({
      title: 'In hand',
      about: 'Bytes of mail that the egress has loaded for a route.',
      unit: 'bytes',
      queries: { '{{route}}': 'sum by (route) (sealpost_route_bytes_in_flight)' },
    }),
    lines({
      title: 'Time of a try',
      about: 'Most of it is the next hop’s.',
      unit: 's',
      queries: {
        half: quantile(0.5, 'sealpost_job_seconds', '', '{stage="delivery"}'),
        '99 of 100': quantile(0.99, 'sealpost_job_seconds', '', '{stage="delivery"}'),
      },
    }),
  ],
});
