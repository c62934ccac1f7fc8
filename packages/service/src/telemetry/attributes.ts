// Every span name and span attribute there is. Attributes hold ids, names from the configuration, codes and numbers: never
// content, a subject or an address. Add a row here before using it.

import type { ErrorCode, StageName } from '@sealpost/core';

export const spanNames = [
  // between two stages: from the publishing of a job to its first start
  'queue.wait',
  // ingress: one accepted message
  'ingress.accept',
  'ingress.check',
  'ingress.seal',
  'ingress.ticket',
  'ingress.store',
  'ingress.publish',
  // crypto worker: one job
  'worker.process',
  'worker.load',
  'worker.classify',
  'worker.decide',
  'worker.resolve',
  'worker.protect',
  'worker.open',
  'worker.seal',
  'worker.store',
  'worker.publish',
  // egress: one try of a delivery
  'egress.deliver',
  'egress.load',
  'egress.check',
  'egress.route',
  'egress.connect',
  'egress.send',
  'egress.settle',
  'egress.report',
  // key service, both sides
  'key-service.call',
  'key-service.answer',
] as const;

export type SpanName = (typeof spanNames)[number];

interface AttributeTypes {
  readonly tenant: string;
  readonly message: string;
  readonly delivery: string;
  readonly direction: 'outbound' | 'inbound';
  readonly source: string;
  readonly route: string;
  readonly role: string;
  readonly call: string;
  readonly code: ErrorCode;
  readonly outcome: string;
  readonly attempt: number;
  readonly bytes: number;
  readonly recipients: number;
  readonly bounced: number;
  readonly errorType: ErrorCode;
  readonly messagingSystem: 'bullmq';
  readonly messagingOperation: 'publish' | 'process';
  readonly messagingOperationType: 'send' | 'process';
  readonly messagingDestination: StageName;
  readonly messagingId: string;
  readonly messagingCount: number;
}

/** What a span may carry; absent ones may be given as undefined. */
export type SpanAttributes = { readonly [Name in keyof AttributeTypes]?: AttributeTypes[Name] | undefined };

/** The name of each attribute as it is exported. */
export const attributeNames: { readonly [Name in keyof AttributeTypes]: string } = {
  tenant: 'sealpost.tenant',
  message: 'sealpost.message.id',
  delivery: 'sealpost.delivery.id',
  direction: 'sealpost.direction',
  source: 'sealpost.source',
  route: 'sealpost.route',
  role: 'sealpost.role',
  call: 'sealpost.call',
  code: 'sealpost.code',
  outcome: 'sealpost.outcome',
  attempt: 'sealpost.attempt',
  bytes: 'sealpost.bytes',
  recipients: 'sealpost.recipients',
  bounced: 'sealpost.bounced',
  // OpenTelemetry's own names: semantic conventions 1.4x, error and messaging.
  errorType: 'error.type',
  messagingSystem: 'messaging.system',
  messagingOperation: 'messaging.operation.name',
  messagingOperationType: 'messaging.operation.type',
  messagingDestination: 'messaging.destination.name',
  messagingId: 'messaging.message.id',
  messagingCount: 'messaging.batch.message_count',
};
