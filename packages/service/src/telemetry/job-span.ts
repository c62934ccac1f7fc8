// Spans of the queue, as OpenTelemetry's semantic conventions for messaging have them (status: development):
// https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/. Names stay those of our steps: docs and dashboards know them.

import type { Claim, QueuedJob, StageName, TraceContext } from '@sealpost/core';
import type { SpanAttributes, SpanName } from './attributes.ts';
import type { Telemetry } from './telemetry.ts';

/** What a span about jobs of a stage says of them. */
export function messaging(
  operation: 'publish' | 'process',
  stage: StageName,
  jobs: readonly { readonly id: string }[],
): SpanAttributes {
  const [first] = jobs;
  return {
    messagingSystem: 'bullmq',
    messagingOperation: operation,
    messagingOperationType: operation === 'publish' ? 'send' : 'process',
    messagingDestination: stage,
    ...(jobs.length === 1 && first ? { messagingId: first.id } : { messagingCount: jobs.length }),
  };
}

interface Tried extends QueuedJob {
  readonly tried?: TraceContext;
}

/**
 * Runs one try of a job in its span: below what published it, linked to the try before. The wait in the queue is a span of its own
 * beside the first one, from the publisher's clock to ours.
 */
export async function jobSpan<T>(
  telemetry: Telemetry,
  name: SpanName,
  { stage, job, claim }: { readonly stage: StageName; readonly job: Tried; readonly claim: Pick<Claim, 'waitedMs'> },
  attributes: SpanAttributes,
  run: (set: (attributes: SpanAttributes) => void) => Promise<T>,
): Promise<T> {
  const { trace, tried, tenant } = job;
  const parent = trace ?? 'none';
  const about = { tenant, ...messaging('process', stage, [job]) };
  if (trace && claim.waitedMs !== undefined) {
    const waited = { tenant, messagingSystem: about.messagingSystem, messagingDestination: stage, messagingId: job.id };
    await telemetry.span('queue.wait', waited, async () => undefined, { parent, beganMsAgo: claim.waitedMs });
  }
  return telemetry.span(name, { ...about, ...attributes }, run, {
    parent,
    kind: 'consumer',
    links: tried ? [tried] : [],
  });
}
