// The metric table on the OpenTelemetry SDK, shown in the Prometheus text format through the exporter's request handler on our
// own health server.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Counter, Histogram, Observable } from '@opentelemetry/api';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { within } from '../within.ts';
import type { CounterName, GaugeName, HistogramName, MetricName } from './metric-types.ts';
import { metrics } from './metrics.ts';
import type { Speaker } from './telemetry.ts';

/** A gauge that asks a dead dependency must not hold up the scrape, which Prometheus gives up after 10 s. */
const readTimeoutMs = 2_000;

/** The table's own types stand in front of this (Telemetry); here labels are any. */
export interface Meter {
  add(metric: CounterName, by: number, labels: object | undefined): void;
  observe(metric: HistogramName, value: number, labels: object | undefined): void;
  gauge(metric: GaugeName, read: () => Readings | Promise<Readings>): void;
  readonly answerScrape: (request: IncomingMessage, response: ServerResponse) => void;
  close(): Promise<void>;
}

type Readings = number | readonly { readonly value: number; readonly labels: object }[];

export function startMetrics({ role, instance }: Speaker): Meter {
  const exporter = new PrometheusExporter({ preventServerStart: true, withoutScopeInfo: true });
  const provider = new MeterProvider({
    resource: resourceFromAttributes({ 'service.name': `sealpost-${role}`, 'service.instance.id': instance }),
    readers: [exporter],
  });
  const meter = provider.getMeter('sealpost');
  const counters = new Map<MetricName, Counter>();
  const histograms = new Map<MetricName, Histogram>();
  const gauges = new Map<MetricName, Observable>();

  for (const [name, row] of Object.entries(metrics) as [MetricName, (typeof metrics)[MetricName]][]) {
    const options = { description: row.help };
    if (row.kind === 'counter') counters.set(name, meter.createCounter(name, options));
    else if (row.kind === 'gauge' && 'grows' in row) gauges.set(name, meter.createObservableCounter(name, options));
    else if (row.kind === 'gauge') gauges.set(name, meter.createObservableGauge(name, options));
    else
      histograms.set(
        name,
        meter.createHistogram(name, { ...options, advice: { explicitBucketBoundaries: [...row.buckets] } }),
      );
  }

  return {
    add: (metric, by, labels) => counters.get(metric)?.add(by, { ...labels }),
    observe: (metric, value, labels) => histograms.get(metric)?.record(value, { ...labels }),
    gauge(metric, read) {
      gauges.get(metric)?.addCallback(async (result) => {
        const readings = await within(readTimeoutMs, async () => read()).catch(() => []);
        for (const { value, labels } of typeof readings === 'number' ? [{ value: readings, labels: {} }] : readings) {
          result.observe(value, { ...labels });
        }
      });
    },
    answerScrape: (request, response) => exporter.getMetricsRequestHandler(request, response),
    close: () => provider.shutdown(),
  };
}
