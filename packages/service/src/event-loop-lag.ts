// How long the event loop stood still: a worker that blocks past its lock lets a second one take the same job, so operators must
// see it coming.

import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Telemetry } from './telemetry/telemetry.ts';

/** Milliseconds between looks: a block that matters lasts seconds. */
const resolution = 50;

/** Shows the longest delay since the last scrape. */
export function watchEventLoop(telemetry: Telemetry): void {
  const delay = monitorEventLoopDelay({ resolution });
  delay.enable();
  telemetry.gauge('sealpost_event_loop_lag_seconds', () => {
    const longest = delay.max / 1e9;
    delay.reset();
    return longest;
  });
}
