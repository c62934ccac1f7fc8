// What a consumer of a stage is started with.

import type { Claim, Clock, ErrorCode, Log, Outcome, QueuedJob } from '@sealpost/core';
import type { SpoolBlobs } from './blobs/spool-blobs.ts';
import type { QuarantineLimits } from './set-aside.ts';

/** Section `queue` of the configuration. */
export interface QueueSettings {
  readonly maxAgeHours: number;
  readonly quarantine: QuarantineLimits;
}

export interface ConsumeOptions<Job extends QueuedJob> {
  /** Jobs in hand at a time. */
  readonly concurrency: number;
  readonly queue: QueueSettings;
  /** Where the jobs' blobs are: their sizes count in the quarantine, and orphans are swept. */
  readonly blobs: SpoolBlobs;
  readonly clock: Clock;
  readonly log: Log;
  /** Asked when an error means that the sender has to be told; without it such a job is set aside. */
  readonly onBounce?: (job: Job, code: ErrorCode, claim: Claim) => Promise<Outcome<Job>>;
  /** Told after every try of a job. */
  readonly onTry?: (times: TryTimes) => void;
  /** Told when a job was set aside, after its place in the quarantine is sure. */
  readonly onQuarantine?: (code: ErrorCode) => void;
  /** Shorter times, for tests. */
  readonly timing?: Partial<StageTiming>;
}

export interface TryTimes {
  /** From publishing to the first start, by the clocks of both hosts; absent for later tries. */
  readonly waitedMs?: number;
  readonly tookMs: number;
}

export interface StageTiming {
  /** A worker that does not renew its lock for so long loses the job; measured: 12 s from SIGKILL to the next worker. */
  readonly lockMs: number;
  /** How often workers look for jobs whose lock ran out; a job is taken over at the second look. */
  readonly stalledCheckMs: number;
  /** How often failed jobs are looked through. */
  readonly reconcileMs: number;
  /** How often the ledger is held against the jobs. */
  readonly ledgerMs: number;
}
