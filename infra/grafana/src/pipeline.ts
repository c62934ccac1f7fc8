// Each stage: what waits, what is worked on, how long it takes and what goes wrong.

import { dashboard, lines, table } from './panels.ts';
import { by, quantile, same } from './queries.ts';

export const pipeline = dashboard('pipeline', 'pipeline', {
  Queues: [
    lines({
      title: 'Jobs',
      about: 'By stage and state; `failed` are those in quarantine, `delayed` those that wait for another try.',
      unit: 'short',
      queries: { '{{stage}}, {{state}}': same('stage, state', 'sealpost_queue_jobs') },
    }),
    lines({
      title: 'Oldest job',
      about: 'Age of the oldest job that is not done.',
      unit: 's',
      queries: { '{{stage}}': same('stage', 'sealpost_queue_oldest_seconds') },
    }),
    lines({
      title: 'Wait for a first start',
      about: 'From publishing to the first start of a job. Grows when there are too few workers.',
      unit: 's',
      queries: {
        'half, {{stage}}': quantile(0.5, 'sealpost_queue_wait_seconds', 'stage'),
        '99 of 100, {{stage}}': quantile(0.99, 'sealpost_queue_wait_seconds', 'stage'),
      },
    }),
    lines({
      title: 'Time of a try',
      about: 'What one try of a job took, pauses for other jobs and for answers included.',
      unit: 's',
      queries: {
        'half, {{stage}}': quantile(0.5, 'sealpost_job_seconds', 'stage'),
        '99 of 100, {{stage}}': quantile(0.99, 'sealpost_job_seconds', 'stage'),
      },
    }),
  ],
  Work: [
    lines({
      title: 'What was done',
      about: 'Messages that left the crypto worker.',
      unit: 'mps',
      queries: { '{{direction}}, {{action}}': by('direction, action', 'sealpost_messages_processed_total') },
    }),
    lines({
      title: 'Steps',
      about: 'Mean time of each step of the pipelines.',
      unit: 's',
      queries: {
        '{{step}}': `${by('step', 'sealpost_step_seconds_sum')} / ${by('step', 'sealpost_step_seconds_count')}`,
      },
    }),
    lines({
      title: 'Event loop',
      about: 'Longest delay since the last reading. Above a second, a process does too much at once.',
      unit: 's',
      queries: { '{{instance}}': 'max by (instance) (sealpost_event_loop_lag_seconds)' },
    }),
    lines({
      title: 'Size of messages',
      about: 'As accepted.',
      unit: 'bytes',
      queries: {
        half: quantile(0.5, 'sealpost_message_bytes'),
        '99 of 100': quantile(0.99, 'sealpost_message_bytes'),
      },
    }),
  ],
  Troubles: [
    lines({
      title: 'Jobs that lost their worker',
      about:
        'A lock that was not renewed (`job.lock-lost`), a job that was taken over (`job.stalled`). Runbook: SealpostJobsLoseTheirWorker.',
      unit: 'mps',
      queries: { '{{event}}': by('event', 'sealpost_events_total{event=~"job.stalled|job.lock-lost"}') },
    }),
    table({
      title: 'Steps that ended with an error, last hour',
      about: 'By step and code (docs/errors.md).',
      unit: 'short',
      queries: { errors: 'sum by (step, code) (increase(sealpost_step_errors_total[1h])) > 0' },
    }),
    table({
      title: 'Set aside, last hour',
      about: 'Jobs that went into quarantine, by stage and code.',
      unit: 'short',
      queries: { 'set aside': 'sum by (stage, code) (increase(sealpost_messages_quarantined_total[1h]))' },
    }),
  ],
});
