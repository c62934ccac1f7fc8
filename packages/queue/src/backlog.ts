// Liveness of a consumer: jobs wait and none is fetched. A PING stays green while a worker never resumes after an outage, which
// happened; this does not.

import type { StageName } from '@sealpost/core';
import type { RedisLink } from './connect-redis.ts';
import { stageKey } from './stage-shape.ts';

const lookEveryMs = 5_000;
/** BullMQ keeps a delayed job's time in the upper bits of its score. */
const delayedScoreFactor = 0x1000;

export interface Backlog {
  /** Runs a job that was fetched. */
  inHand<T>(run: () => Promise<T>): Promise<T>;
  idleMs(): Promise<number>;
  /** Resolves when no job is in hand. */
  emptied(): Promise<void>;
  stop(): void;
}

export function watchBacklog({ client }: RedisLink, stage: StageName, concurrency: number): Backlog {
  /** Last time at which all was well: a fetch, no job waiting, no free hand, or a server that could not be asked. */
  let wellAt = performance.now();
  let jobsInHand = 0;
  let empty = Promise.withResolvers<void>();
  empty.resolve();

  async function look(): Promise<void> {
    if (jobsInHand >= concurrency || !(await someWait())) wellAt = performance.now();
  }

  async function someWait(): Promise<boolean> {
    try {
      const due = Date.now() * delayedScoreFactor;
      const counts = [client.llen(stageKey(stage, 'wait')), client.zcount(stageKey(stage, 'delayed'), 0, due)];
      return (await Promise.all(counts)).some((count) => count > 0);
    } catch {
      // A server that is away is not this process's idleness, and a restart would not help.
      return false;
    }
  }

  const timer = setInterval(() => void look(), lookEveryMs).unref();
  return {
    async inHand(run) {
      wellAt = performance.now();
      if (jobsInHand === 0) empty = Promise.withResolvers();
      jobsInHand += 1;
      try {
        return await run();
      } finally {
        jobsInHand -= 1;
        if (jobsInHand === 0) empty.resolve();
      }
    },
    async idleMs() {
      const before = wellAt;
      await look();
      return wellAt === before ? performance.now() - before : 0;
    },
    emptied: () => empty.promise,
    stop: () => clearInterval(timer),
  };
}
