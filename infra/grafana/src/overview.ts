// Is mail flowing, and how late is it? The page to look at first.

import { dashboard, lines, number } from './panels.ts';
import { by, quantile, same, total } from './queries.ts';

export const overview = dashboard('overview', 'overview', {
  'Is mail flowing?': [
    number({
      title: 'Accepted',
      about: 'Messages that the ingress answered for with 250, a second.',
      unit: 'mps',
      queries: { accepted: total('sealpost_messages_accepted_total') },
    }),
    number({
      title: 'Settled',
      about: 'Recipients that came to their end (delivered, bounced, set aside), a second.',
      unit: 'mps',
      queries: { settled: total('sealpost_recipients_settled_total') },
    }),
    number({
      title: 'Oldest waiting',
      about: 'Age of the oldest job of either stage that is not done. Runbook: SealpostMailLate.',
      unit: 's',
      queries: { oldest: same('', 'sealpost_queue_oldest_seconds') },
      badFrom: 300,
    }),
    number({
      title: 'Missing',
      about: 'Mail that was accepted, has not come to its end and is not there. Runbook: SealpostLedgerNotZero.',
      unit: 'short',
      queries: { missing: 'sum(max by (tenant) (sealpost_ledger_missing))' },
      badFrom: 1,
    }),
    number({
      title: 'Key store',
      about: '1 while it is open. Sealed, only mail that needs no key flows, for up to 12 hours.',
      unit: 'short',
      queries: { open: 'max(sealpost_key_store_open)' },
      badBelow: 1,
    }),
    number({
      title: 'Set aside',
      about: 'Messages in quarantine; `sealpost queue list` tells why.',
      unit: 'short',
      queries: { 'set aside': 'sum(max by (stage) (sealpost_queue_jobs{state="failed"}))' },
      badFrom: 1,
    }),
    number({
      title: 'Alerts',
      about: 'Events of the last hour that want somebody to look.',
      unit: 'short',
      queries: { alerts: 'sum(increase(sealpost_events_total{event=~"alert.*"}[1h])) or vector(0)' },
      badFrom: 1,
    }),
  ],
  'In and out': [
    lines({
      title: 'Messages accepted and recipients settled',
      about: 'The two follow each other; a gap that stays is mail that waits.',
      unit: 'mps',
      queries: {
        'accepted, {{direction}}': by('direction', 'sealpost_messages_accepted_total'),
        'settled, {{outcome}}': by('outcome', 'sealpost_recipients_settled_total'),
      },
    }),
    lines({
      title: 'From the 250 to the last recipient settled',
      about: 'What a user feels. Waits for a next hop that is down are part of it.',
      unit: 's',
      queries: {
        half: quantile(0.5, 'sealpost_message_seconds'),
        '99 of 100': quantile(0.99, 'sealpost_message_seconds'),
      },
    }),
    lines({
      title: 'To the 250',
      about: 'From the end of a message to its 250, when message and job are on disk.',
      unit: 's',
      queries: {
        half: quantile(0.5, 'sealpost_accept_seconds'),
        '99 of 100': quantile(0.99, 'sealpost_accept_seconds'),
      },
    }),
    lines({
      title: 'Refused',
      about: 'Commands and messages that the ingress refused, by code (docs/errors.md).',
      unit: 'mps',
      queries: { '{{code}}': by('code', 'sealpost_messages_refused_total') },
    }),
  ],
});
