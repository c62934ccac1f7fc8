// Every span name and span attribute there is. Attributes hold ids, names from the configuration, codes and numbers: never
// content, a subject or an address. Add a row here before using it.

import type { ErrorCode } from '@sealpost/core';

export const spanNames = [
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
  readonly group: string;
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
  readonly groups: number;
  readonly smtpStatus: string;
}

/** What a span may carry; absent ones may be given as undefined. */
export type SpanAttributes = { readonly [Name in keyof AttributeTypes]?: AttributeTypes[Name] | undefined };

/** The name of each attribute as it is exported. */
export const attributeNames: { readonly [Name in keyof AttributeTypes]: string } = {
  tenant: 'sealpost.tenant',
  message: 'sealpost.message.id',
  delivery: 'sealpost.delivery.id',
  group: 'sealpost.group',
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
  groups: 'sealpost.groups',
  smtpStatus: 'sealpost.smtp.status',
};
