// How stages of the queue stand, as metrics. A stage is shown by the processes that feed it and by those that work on it: when all of
// the latter are gone, somebody must still see the mail that waits.

import type { Clock, StageStatus } from '@sealpost/core';
import type { Telemetry } from './telemetry.ts';

interface Watched {
  status(now: Date): Promise<StageStatus>;
}

const states = ['waiting', 'active', 'delayed', 'failed'] as const;

export function showStages(telemetry: Telemetry, clock: Clock, ...stages: readonly Watched[]): void {
  const read = () => Promise.all(stages.map((stage) => stage.status(clock.now())));
  telemetry.gauge('sealpost_queue_jobs', async () =>
    (await read()).flatMap((status) =>
      states.map((state) => ({ value: status[state], labels: { stage: status.stage, state } })),
    ),
  );
  telemetry.gauge('sealpost_queue_oldest_seconds', async () =>
    (await read()).map(({ stage, oldestMs }) => ({ value: oldestMs / 1000, labels: { stage } })),
  );
}
