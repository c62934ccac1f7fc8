// What processes tell about their work: spans that follow a message through every process (W3C Trace Context travels in the
// jobs) and the metrics of the table. The rest of the gateway sees this interface and no library.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TraceContext } from '@sealpost/core';
import type { SpanAttributes, SpanName } from './attributes.ts';
import type {
  CountArguments,
  CounterName,
  GaugeName,
  GaugeRead,
  HistogramName,
  LabelArguments,
} from './metric-types.ts';

export interface SpanOptions {
  /** What the span belongs to; left out, the span that is running. `none` begins a new trace. */
  readonly parent?: TraceContext | 'none' | undefined;
  /** Earlier tries and other spans that led here. */
  readonly links?: readonly TraceContext[] | undefined;
  /** The span began so long ago; now unless said. */
  readonly beganMsAgo?: number | undefined;
  /** How the span meets another process; `internal` unless said. */
  readonly kind?: 'internal' | 'server' | 'client' | 'producer' | 'consumer' | undefined;
}

export interface Telemetry {
  /**
   * Runs `run` in a span. An error ends the span as failed with its code, never its message, and is thrown on.
   * `run` may set attributes that are known only later.
   */
  span<T>(
    name: SpanName,
    attributes: SpanAttributes,
    run: (set: (attributes: SpanAttributes) => void) => Promise<T>,
    options?: SpanOptions,
  ): Promise<T>;
  /** The context of the running span, to be put into a job. */
  current(): TraceContext | undefined;
  /** Adds 1, or `by`, to a counter. */
  count<Name extends CounterName>(metric: Name, ...labels: CountArguments<Name>): void;
  /** Records a value in a histogram, in the base unit of its name. */
  observe<Name extends HistogramName>(metric: Name, value: number, ...labels: LabelArguments<Name>): void;
  /** Says how a gauge is read at each scrape. A read that fails or takes too long leaves its values out. */
  gauge<Name extends GaugeName>(metric: Name, read: GaugeRead<Name>): void;
}

export interface RunningTelemetry extends Telemetry {
  /** Answers a scrape. */
  readonly answerScrape: (request: IncomingMessage, response: ServerResponse) => void;
  /** Sends what is still held, within a bounded time. */
  close(): Promise<void>;
}

/** Who speaks: on every span and metric. */
export interface Speaker {
  readonly role: string;
  readonly instance: string;
}
