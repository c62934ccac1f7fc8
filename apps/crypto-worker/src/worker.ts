// What the steps work with, built once in start.ts; and the names under which the worker remembers what it did.

import type {
  BlobStore,
  Clock,
  DeliveryId,
  DeliveryJob,
  KeyService,
  Log,
  Marks,
  MessageId,
  Publisher,
  SpoolSessions,
  TenantId,
  TenantPolicy,
} from '@sealpost/core';
import type { Telemetry } from '@sealpost/service';
import type { Tickets } from './tickets.ts';

export interface Worker {
  /** Host name of the installation, for reports. */
  readonly installation: string;
  readonly policies: ReadonlyMap<TenantId, TenantPolicy>;
  /** How long a job is tried; that it is done is remembered as long. */
  readonly maxAgeMs: number;
  /** The longest that a message can be in the queue, quarantine included. */
  readonly ticketLifeMs: number;
  readonly keys: KeyService;
  readonly sessions: SpoolSessions;
  readonly tickets: Tickets;
  readonly blobs: BlobStore;
  readonly marks: Marks;
  readonly deliveries: Publisher<DeliveryJob>;
  readonly clock: Clock;
  readonly log: Log;
  readonly telemetry: Telemetry;
}

/** Mark: everything of this message, or this delivery of it, is published. It outlives the job that did it. */
export function publishedMark(id: MessageId | DeliveryId): string {
  return `published-${id}`;
}

/** Blob id of a message's stored plan. */
export function planBlob(id: MessageId): string {
  return `plan-${id}`;
}
