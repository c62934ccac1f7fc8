// The ledger: every job stands in it from before it is queued until its end is settled, apart from BullMQ's own keys. A job that
// stands here and is not there any more was lost: mail that was answered for with 250 and went nowhere.

import type { QueuedJob, StageName } from '@sealpost/core';
import type { RedisLink } from './connect-redis.ts';
import { asQueueError } from './queue-error.ts';
import { keyPrefix, stageKey } from './stage-shape.ts';

const stages: readonly StageName[] = ['crypto', 'delivery'];
/** Hash: id → tenant. */
const openKey = (stage: StageName): string => `${keyPrefix}:ledger:${stage}`;
/** Hash: id → when it was first seen without a job, in milliseconds. */
const missingKey = (stage: StageName): string => `${keyPrefix}:ledger:${stage}:missing`;
const scanBatch = 1_000;
/** Between entering a job and queueing it lie milliseconds; one without a job for longer has none. */
const missingAfterMs = 10_000;

/** A job that was queued, has not come to its end and is not there. */
export interface MissingJob {
  readonly stage: StageName;
  readonly id: string;
  readonly tenant: string;
}

export interface Ledger {
  /** Durable when it resolves, or with whatever is sent on the same connection next. */
  enter(stage: StageName, jobs: readonly QueuedJob[]): Promise<void>;
  /** Its end is settled; asked before the job itself goes, so that a crash in between leaves a job and not a gap. */
  strike(stage: StageName, id: string): Promise<void>;
  /** Looks for a job behind every entry of a stage, in pieces that do not hold the server up. */
  audit(stage: StageName, now: Date): Promise<void>;
  /** Entries that an audit found without a job some time ago, and that have none now. */
  missing(now: Date): Promise<readonly MissingJob[]>;
  /** An operator saw to it: true if it was missing. */
  forget(id: string): Promise<boolean>;
}

/** Errors: `queue-unavailable`. */
export function redisLedger({ client }: RedisLink): Ledger {
  async function withoutJob(stage: StageName, ids: readonly string[]): Promise<string[]> {
    const known = await Promise.all(ids.map((id) => client.exists(stageKey(stage, id))));
    return ids.filter((_, at) => known[at] === 0);
  }

  async function missingIn(stage: StageName, now: Date): Promise<MissingJob[]> {
    const seen = Object.entries(await client.hgetall(missingKey(stage)));
    const old = seen.filter(([, since]) => now.getTime() - Number(since) >= missingAfterMs).map(([id]) => id);
    // An audit may have looked between the entering of a job and its queueing.
    const ids = await withoutJob(stage, old);
    if (ids.length === 0) return [];
    const tenants = await client.hmget(openKey(stage), ...ids);
    return ids.flatMap((id, at) => {
      const tenant = tenants[at];
      return tenant ? [{ stage, id, tenant }] : [];
    });
  }

  return {
    enter: (stage, jobs) =>
      asQueueError(async () => {
        await client.hset(openKey(stage), Object.fromEntries(jobs.map(({ id, tenant }) => [id, tenant])));
      }),
    strike: (stage, id) =>
      asQueueError(async () => {
        await client.hdel(openKey(stage), id);
      }),
    audit: (stage, now) =>
      asQueueError(async () => {
        const before = await client.hkeys(missingKey(stage));
        const found = new Set<string>();
        let cursor = '0';
        do {
          const [next, pairs] = await client.hscan(openKey(stage), cursor, 'COUNT', scanBatch);
          const ids = pairs.filter((_, at) => at % 2 === 0);
          for (const id of await withoutJob(stage, ids)) found.add(id);
          cursor = next;
        } while (cursor !== '0');
        const back = before.filter((id) => !found.has(id));
        if (back.length > 0) await client.hdel(missingKey(stage), ...back);
        for (const id of found) await client.hsetnx(missingKey(stage), id, now.getTime());
      }),
    missing: (now) =>
      asQueueError(async () => (await Promise.all(stages.map((stage) => missingIn(stage, now)))).flat()),
    forget: (id) =>
      asQueueError(async () => {
        const counts = await Promise.all(stages.map((stage) => client.hdel(missingKey(stage), id)));
        await Promise.all(stages.filter((_, at) => counts[at] === 1).map((stage) => client.hdel(openKey(stage), id)));
        return counts.includes(1);
      }),
  };
}
