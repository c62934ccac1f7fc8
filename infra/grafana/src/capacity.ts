// How much more mail it could take, and how many workers are needed. docs/capacity.md tells of the model.

import { dashboard, lines, number } from './panels.ts';
import { by, cpuPerMessage, perMessage } from './queries.ts';

/** As `sealpost plan` has it: no kind of process is planned to be used for more. */
const mostUsed = 0.8;

const busy = (role: string): string =>
  `sum(rate(sealpost_process_cpu_seconds_total{role="${role}"}[$__rate_interval]))`;

export const capacity = dashboard('capacity', 'capacity', {
  'The right number': [
    number({
      title: 'Workers needed',
      about:
        'Crypto workers at which each is used for at most 80 %, by the processor time that they use now: where `sealpost plan` begins. For a p99 target ask `sealpost plan --from-prometheus`.',
      unit: 'short',
      queries: { needed: `ceil(${busy('crypto-worker')} / ${mostUsed}) > 1 or vector(1)` },
    }),
    number({
      title: 'Workers there',
      about: 'Crypto workers that show their metrics.',
      unit: 'short',
      queries: { there: 'count(sealpost_process_cpu_seconds_total{role="crypto-worker"})' },
    }),
    number({
      title: 'Redis memory',
      about:
        'Share of `maxmemory` that is used; without a limit nothing is shown as 0. From 70 % on, mail is refused for now.',
      unit: 'percentunit',
      queries: {
        used: 'max(sealpost_redis_memory_bytes{which="used"}) / (max(sealpost_redis_memory_bytes{which="limit"}) > 0) or vector(0)',
      },
      badFrom: 0.6,
    }),
    number({
      title: 'Redis on disk',
      about: '1 while the append-only file is written.',
      unit: 'short',
      queries: { persisting: 'min(sealpost_redis_persisting)' },
      badBelow: 1,
    }),
  ],
  Processors: [
    lines({
      title: 'How busy processes are',
      about: 'Share of one core. A process is one core at most.',
      unit: 'percentunit',
      queries: { '{{role}} {{instance}}': by('role, instance', 'sealpost_process_cpu_seconds_total') },
    }),
    lines({
      title: 'Processor time of a message',
      about: 'What `sealpost plan --from-prometheus` reckons with.',
      unit: 's',
      queries: {
        ingress: cpuPerMessage('ingress'),
        'crypto worker': cpuPerMessage('crypto-worker'),
        egress: cpuPerMessage('egress'),
        'key service': cpuPerMessage('key-service'),
        redis: perMessage('sealpost_redis_cpu_seconds_total'),
      },
    }),
    lines({
      title: 'Redis for a message',
      about: 'Commands that the queue costs for each accepted message. Polling of an idle installation is part of it.',
      unit: 'short',
      queries: { commands: perMessage('sealpost_redis_commands_total') },
    }),
    lines({
      title: 'Redis traffic for a message',
      about: 'Bytes in and out for each accepted message: jobs, and the sealed mail that travels in Redis.',
      unit: 'bytes',
      queries: {
        in: perMessage('sealpost_redis_network_bytes_total{direction="in"}'),
        out: perMessage('sealpost_redis_network_bytes_total{direction="out"}'),
      },
    }),
    lines({
      title: 'Work at the ingress',
      about: 'SMTP sessions that are open.',
      unit: 'short',
      queries: { '{{direction}}': 'sum by (direction) (sealpost_ingress_sessions)' },
    }),
    lines({
      title: 'Bytes at the ingress',
      about:
        'Mail that is held and not answered for yet; its limit is `ingress.limits.bytesInFlight` for each process.',
      unit: 'bytes',
      queries: { '{{instance}}': 'sum by (instance) (sealpost_ingress_bytes_in_flight)' },
    }),
    lines({
      title: 'Redis memory',
      about: 'Used, and the limit where there is one.',
      unit: 'bytes',
      queries: { '{{which}}': 'max by (which) (sealpost_redis_memory_bytes)' },
    }),
  ],
});
