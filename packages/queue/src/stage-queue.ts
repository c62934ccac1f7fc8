// A stage's BullMQ queue on the process's connection, with the settings that make it safe (reference: queue, Redis and SMTP).

import type { QueuedJob, StageName } from '@sealpost/core';
import { type JobsOptions, Queue } from 'bullmq';
import type { RedisLink } from './connect-redis.ts';
import { keyPrefix } from './stage-shape.ts';

/** Nobody reads the event stream; without a cap it grows for ever. */
const eventStreamLength = 100;

/** The job's id is the message's or delivery's, so publishing twice is harmless. */
export function jobOptions(id: string): JobsOptions {
  return {
    jobId: id,
    // Completed jobs kept by count filled Redis in real deployments.
    removeOnComplete: true,
    // A failed job is one set aside: it stays until a person or its time ends it.
    removeOnFail: false,
    // BullMQ stores stacks in clear.
    stackTraceLimit: 0,
  };
}

export function openQueue<Job extends QueuedJob>(redis: RedisLink, stage: StageName): Queue<Job, void, string> {
  const queue = new Queue<Job, void, string>(stage, {
    connection: redis.client,
    prefix: keyPrefix,
    streams: { events: { maxLen: eventStreamLength } },
    // The link checks version and settings itself, and BullMQ would remember a failed check for ever.
    skipVersionCheck: true,
    skipWaitingForReady: true,
  });
  // What goes wrong is told to the caller whose command it was.
  queue.on('error', () => {});
  return queue;
}
