// The key service, the certificates, and what the stages remember of both.

import { dashboard, lines, number, table } from './panels.ts';
import { by } from './queries.ts';

export const keys = dashboard('keys', 'keys and certificates', {
  'Key service': [
    number({
      title: 'Store',
      about: '1 while it is open.',
      unit: 'short',
      queries: { open: 'max(sealpost_key_store_open)' },
      badBelow: 1,
    }),
    number({
      title: 'Audit log failing',
      about: '1 while the log cannot be written or is not genuine: nothing that touches a key is done then.',
      unit: 'short',
      queries: { failing: 'max(sealpost_audit_failing)' },
      badFrom: 1,
    }),
    number({
      title: 'Live leases',
      about: 'Private keys that crypto workers hold now.',
      unit: 'short',
      queries: { leases: 'sum(sealpost_key_leases)' },
    }),
    lines({
      title: 'Calls',
      about: 'By operation and outcome. `denied` is what an honest installation never sees.',
      unit: 'mps',
      queries: { '{{operation}}, {{outcome}}': by('operation, outcome', 'sealpost_key_calls_total') },
    }),
    lines({
      title: 'Known without asking',
      about: 'Share of questions that a stage answered from memory; `stale` hits are not counted.',
      unit: 'percentunit',
      queries: {
        '{{cache}}': `${by('cache', 'sealpost_key_cache_total{result="hit"}')} / ${by('cache', 'sealpost_key_cache_total')}`,
      },
    }),
  ],
  Certificates: [
    table({
      title: 'Certificates in use, by the time they have left',
      about: 'Of people of ours, of partners, and of authorities.',
      unit: 'short',
      queries: { certificates: 'sum by (tenant, holder, left) (sealpost_certificates)' },
    }),
    table({
      title: 'Certificates of the processes',
      about: 'When they end. `init` renews those of services; the listener’s is the operator’s.',
      unit: 's',
      queries: {
        'time left': 'min by (instance, certificate) (sealpost_process_certificate_expiry_timestamp_seconds) - time()',
      },
    }),
  ],
});
