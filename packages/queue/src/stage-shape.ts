// What tells the two stages apart for this room, and where their keys are. One hash tag for both: a Redis Cluster then runs a
// script over the keys of a stage and of the quarantine on one node.

import {
  type CryptoJob,
  type DeliveryJob,
  type QueuedJob,
  readCryptoJob,
  readDeliveryJob,
  type StageName,
} from '@sealpost/core';

export interface StageShape<Job extends QueuedJob> {
  readonly name: StageName;
  /** Checks what Redis returned; throws `job-malformed`. */
  read(value: unknown): Job;
}

export const cryptoShape: StageShape<CryptoJob> = { name: 'crypto', read: readCryptoJob };
export const deliveryShape: StageShape<DeliveryJob> = { name: 'delivery', read: readDeliveryJob };

/** BullMQ's prefix. */
export const keyPrefix = '{sealpost}';

/** The key of a stage's list, set or job, as BullMQ names them. */
export function stageKey(stage: StageName, name: string): string {
  return `${keyPrefix}:${stage}:${name}`;
}
