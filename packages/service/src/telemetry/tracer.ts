// Spans on the OpenTelemetry SDK. Contexts travel as W3C Trace Context (https://www.w3.org/TR/trace-context/); without a
// collector configured there is trace-ids.ts instead.

import {
  defaultTextMapGetter,
  defaultTextMapSetter,
  type Link,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { codeOf, type TraceContext } from '@sealpost/core';
import type { TelemetryConfig } from '../config/telemetry.ts';
import { within } from '../within.ts';
import { attributeNames, type SpanAttributes } from './attributes.ts';
import type { SpanOptions, Speaker, Telemetry } from './telemetry.ts';

/** A collector that does not answer must not hold memory or the shutdown for long. */
const exportTimeoutMs = 2_000;
/** At the end, within what the process has left after its work. */
const closeTimeoutMs = 700;
/** How long a finished span waits for others to be sent with. */
const batchDelayMs = 500;

const kinds = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
} as const;

export interface Traces extends Pick<Telemetry, 'span' | 'current'> {
  close(): Promise<void>;
}

export function startTraces(
  config: TelemetryConfig & { readonly otlpUrl: string },
  { role, instance }: Speaker,
): Traces {
  const propagator = new W3CTraceContextPropagator();
  const contexts = new AsyncLocalStorageContextManager().enable();
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.namespace': 'sealpost',
      'service.name': `sealpost-${role}`,
      'service.instance.id': instance,
    }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(config.sampleRatio) }),
    spanProcessors: [sender(config.otlpUrl)],
  });
  const tracer = provider.getTracer('sealpost');

  const contextOf = (carrier: TraceContext) => propagator.extract(ROOT_CONTEXT, carrier, defaultTextMapGetter);

  function linkOf(carrier: TraceContext): Link[] {
    const linked = trace.getSpanContext(contextOf(carrier));
    return linked ? [{ context: linked }] : [];
  }

  function parentOf({ parent }: SpanOptions) {
    if (parent === undefined) return contexts.active();
    return parent === 'none' ? ROOT_CONTEXT : contextOf(parent);
  }

  return {
    async span(name, attributes, run, options = {}) {
      const parent = parentOf(options);
      const span = tracer.startSpan(
        name,
        {
          kind: kinds[options.kind ?? 'internal'],
          attributes: exported(attributes),
          links: (options.links ?? []).flatMap(linkOf),
          ...(options.beganMsAgo === undefined ? {} : { startTime: Date.now() - options.beganMsAgo }),
        },
        parent,
      );
      try {
        return await contexts.with(trace.setSpan(parent, span), () =>
          run((more) => {
            span.setAttributes(exported(more));
          }),
        );
      } catch (error) {
        // Only the code: an upstream's message can hold addresses or content.
        const code = codeOf(error);
        span.setAttributes(exported({ code, errorType: code }));
        span.setStatus({ code: SpanStatusCode.ERROR, message: code });
        throw error;
      } finally {
        span.end();
      }
    },
    current() {
      const carrier: { traceparent?: string; tracestate?: string } = {};
      propagator.inject(contexts.active(), carrier, defaultTextMapSetter);
      const { traceparent, tracestate } = carrier;
      if (traceparent === undefined) return undefined;
      return tracestate === undefined ? { traceparent } : { traceparent, tracestate };
    },
    async close() {
      // What cannot be sent is lost: mail must not wait for a collector.
      await within(closeTimeoutMs, () => provider.shutdown()).catch(() => undefined);
      contexts.disable();
    },
  };
}

function sender(url: string): BatchSpanProcessor {
  return new BatchSpanProcessor({
    exporter: new OTLPTraceExporter({ url, timeoutMillis: exportTimeoutMs }),
    exportTimeoutMillis: exportTimeoutMs,
    scheduledDelayMillis: batchDelayMs,
  });
}

function exported(attributes: SpanAttributes): Record<string, string | number> {
  const named: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(attributes)) {
    const known = Object.hasOwn(attributeNames, name) ? attributeNames[name as keyof SpanAttributes] : undefined;
    if (known !== undefined && value !== undefined) named[known] = value;
  }
  return named;
}
