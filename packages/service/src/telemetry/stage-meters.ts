// What a consumer of a stage tells of its jobs, as metrics.

import type { ErrorCode, StageName } from '@sealpost/core';
import type { Telemetry } from './telemetry.ts';

interface StageMeters {
  /** `waitedMs` is known at the first try of a job only. */
  onTry(times: { readonly waitedMs?: number; readonly tookMs: number }): void;
  onQuarantine(code: ErrorCode): void;
}

export function stageMeters(telemetry: Telemetry, stage: StageName): StageMeters {
  return {
    onTry({ waitedMs, tookMs }) {
      if (waitedMs !== undefined) telemetry.observe('sealpost_queue_wait_seconds', waitedMs / 1000, { stage });
      telemetry.observe('sealpost_job_seconds', tookMs / 1000, { stage });
    },
    onQuarantine: (code) => telemetry.count('sealpost_messages_quarantined_total', { stage, code }),
  };
}
