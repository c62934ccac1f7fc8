// Latencies of many messages in constant memory: Node's own high dynamic range histogram, three significant digits, in microseconds.

import { createHistogram } from 'node:perf_hooks';

export interface Latency {
  readonly count: number;
  /** Milliseconds. */
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface LatencyRecorder {
  record(milliseconds: number): void;
  readonly count: number;
  read(): Latency;
}

/** An hour in microseconds: whatever takes longer than the longest run counts as this. */
const longest = 3_600_000_000;

export function recordLatency(): LatencyRecorder {
  const histogram = createHistogram({ lowest: 1, highest: longest, figures: 3 });
  const ms = (microseconds: number): number => microseconds / 1000;
  return {
    record: (milliseconds) => histogram.record(Math.min(longest, Math.max(1, Math.round(milliseconds * 1000)))),
    get count() {
      return histogram.count;
    },
    read() {
      const at = (percentile: number): number => (histogram.count === 0 ? 0 : ms(histogram.percentile(percentile)));
      const { count } = histogram;
      return {
        count,
        mean: count === 0 ? 0 : ms(histogram.mean),
        p50: at(50),
        p90: at(90),
        p99: at(99),
        p999: at(99.9),
        max: count === 0 ? 0 : ms(histogram.max),
      };
    },
  };
}
