// Joins traces and metrics behind the one interface. These three files are the only users of the OpenTelemetry SDK.

import type { TelemetryConfig } from '../config/telemetry.ts';
import { startMetrics } from './meter.ts';
import type { RunningTelemetry, Speaker } from './telemetry.ts';
import { traceIds } from './trace-ids.ts';
import { startTraces } from './tracer.ts';

export function startTelemetry(config: TelemetryConfig, speaker: Speaker): RunningTelemetry {
  const { otlpUrl } = config;
  const traces = otlpUrl === undefined ? traceIds() : startTraces({ ...config, otlpUrl }, speaker);
  const meter = startMetrics(speaker);
  return {
    span: traces.span,
    current: traces.current,
    count: (metric, ...[labels, by]) => meter.add(metric, by ?? 1, labels),
    observe: (metric, value, ...[labels]) => meter.observe(metric, value, labels),
    gauge: (metric, read) => meter.gauge(metric, read),
    answerScrape: meter.answerScrape,
    async close() {
      await Promise.all([traces.close(), meter.close()]);
    },
  };
}
