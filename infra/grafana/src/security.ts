// What should never happen, what was refused, and whose signatures held.

import { dashboard, lines, number, table } from './panels.ts';
import { by } from './queries.ts';

export const security = dashboard('security', 'security', {
  'Should be nothing': [
    number({
      title: 'Forged or altered',
      about: 'Mail or tickets between the stages, or an audit log, that were not genuine, in the last day.',
      unit: 'short',
      queries: { forged: 'sum(increase(sealpost_events_total{event="alert.authenticity"}[1d])) or vector(0)' },
      badFrom: 1,
    }),
    number({
      title: 'Denied by the key service',
      about: 'Calls of the last day that no honest process makes.',
      unit: 'short',
      queries: { denied: 'sum(increase(sealpost_key_calls_total{outcome="denied"}[1d])) or vector(0)' },
      badFrom: 1,
    }),
    number({
      title: 'Audit log failing',
      about: '1 while it cannot be written or is not genuine.',
      unit: 'short',
      queries: { failing: 'max(sealpost_audit_failing)' },
      badFrom: 1,
    }),
  ],
  Signatures: [
    lines({
      title: 'Signatures of inbound mail',
      about: '`verified` holds in every respect; `unverified` says why in the result header.',
      unit: 'mps',
      queries: { '{{verdict}}': by('verdict', 'sealpost_signatures_checked_total') },
    }),
    lines({
      title: 'Refused at the door',
      about: 'By direction and code. `relay-denied` and `from-not-allowed` are somebody trying.',
      unit: 'mps',
      queries: { '{{direction}}, {{code}}': by('direction, code', 'sealpost_messages_refused_total') },
    }),
  ],
  Encryption: [
    lines({
      title: 'TLS handshakes with clients',
      about:
        'By listener and version, or by why they failed. At the key service, `certificate` is a stage whose certificate ended, or a stranger.',
      unit: 'mps',
      queries: { '{{door}}, {{result}}': by('door, result', 'sealpost_tls_handshakes_total') },
    }),
  ],
  Events: [
    table({
      title: 'Warnings and alerts, last day',
      about: 'Log events by name; each alert has a runbook.',
      unit: 'short',
      queries: { events: 'sum by (event) (increase(sealpost_events_total[1d])) > 0' },
    }),
  ],
});
