// One job through its handler to its end: done, later, or aside. What was thrown is decided by the error table (core/outcome.ts).
// Every end is written by a script that checks the job's lock, so a worker that lost the job changes nothing.

import {
  type Claim,
  codeOf,
  type ErrorCode,
  errors,
  fail,
  type Handler,
  type Outcome,
  outcomeOf,
  type QuarantineEntry,
  type QueuedJob,
  retryDelayMs,
  type TenantId,
  tenantId,
} from '@sealpost/core';
import { type Job as BullJob, DelayedError, UnrecoverableError } from 'bullmq';
import { bornAt } from './born-at.ts';
import { claimOf } from './claim.ts';
import type { RedisLink } from './connect-redis.ts';
import type { ConsumeOptions } from './consume-options.ts';
import { jobFields } from './job-fields.ts';
import { redisLedger } from './ledger.ts';
import { asideIndex } from './set-aside.ts';
import type { StageShape } from './stage-shape.ts';
import { waitedMs } from './waited.ts';

type Ending<Job> = Outcome<Job> | { readonly kind: 'again'; readonly code: ErrorCode; readonly job: Job };

/** What the consumer lends to the jobs in its hands. */
export interface Grip {
  /** How long a lock lasts. */
  readonly lockMs: number;
  /** Renews the job's lock if it is still this token's. */
  holds(id: string, token: string): Promise<boolean>;
  /** Sets fields of the job's hash; asked only right after the job was held. */
  remember(id: string, fields: Record<string, string>): Promise<void>;
  /** Gives the job back to the queue until `delayMs` are over, if the lock is still this token's; `fields` of its hash are set. */
  letGo(id: string, token: string, delayMs: number, fields: Record<string, unknown>, spends: boolean): Promise<void>;
}

const dayMs = 24 * 60 * 60_000;

/** BullMQ's processor for a stage. It returns nothing and throws only constants: BullMQ stores results, messages and stacks. */
export function settler<Job extends QueuedJob>(
  redis: RedisLink,
  stage: StageShape<Job>,
  handle: Handler<Job>,
  options: ConsumeOptions<Job>,
  grip: Grip,
): (bullJob: BullJob<unknown>, token: string) => Promise<void> {
  const { clock, log } = options;
  const index = asideIndex(redis);
  const ledger = redisLedger(redis);

  async function run(bullJob: BullJob<unknown>, token: string): Promise<void> {
    const id = bullJob.id ?? '';
    const claim: Claim = {
      isHeld: claimOf(bullJob.processedOn ?? 0, grip.lockMs, () => grip.holds(id, token)),
      diedBefore: bullJob.stalledCounter,
      ...waitedMs(bullJob),
    };
    const ending = await endingOf(id, bullJob.data, claim);
    switch (ending.kind) {
      case 'done':
        // While the server is away the job cannot end either: it runs again, and is struck then.
        return ledger.strike(stage.name, id).catch(() => undefined);
      case 'later':
        log.event('job.later', { ...jobFields(stage.name, id), code: ending.code });
        return giveBack(id, token, ending.at.getTime() - clock.now().getTime(), dataFields(ending.job), false);
      case 'again':
        return again(bullJob, token, dataFields(ending.job));
      case 'quarantine':
        return setAside(bullJob, token, ending.code, ending.job ?? bullJob.data);
    }
  }

  async function endingOf(id: string, data: unknown, claim: Claim): Promise<Ending<Job>> {
    let job: Job;
    try {
      job = stage.read(data);
      if (job.id !== id) throw fail('job-malformed');
    } catch (error) {
      return { kind: 'quarantine', code: codeOf(error) };
    }
    let next = job;
    try {
      return await handle(job, claim, (retried) => {
        next = retried;
      });
    } catch (error) {
      return endingOfError(error, next, claim, options.onBounce);
    }
  }

  async function endingOfError(
    error: unknown,
    job: Job,
    claim: Claim,
    onBounce: ConsumeOptions<Job>['onBounce'],
  ): Promise<Ending<Job>> {
    const ageMs = clock.now().getTime() - (bornAt(job.id)?.getTime() ?? 0);
    const { code, outcome } = outcomeOf(error, ageMs, options.queue.maxAgeHours * 60 * 60_000);
    if (outcome === 'retry') {
      const cause = error instanceof Error ? { error } : {};
      log.event('job.later', { ...jobFields(stage.name, job.id), code, ...cause });
      return { kind: 'again', code, job };
    }
    if (outcome === 'quarantine' || !onBounce) return { kind: 'quarantine', code };
    try {
      return await onBounce(job, code, claim);
    } catch (second) {
      // A bounce that would have to be bounced is set aside.
      return endingOfError(second, job, claim, undefined);
    }
  }

  /** Back with growing pauses; only this spends an attempt. */
  function again(bullJob: BullJob<unknown>, token: string, fields: Record<string, string> = {}): Promise<void> {
    return giveBack(bullJob.id ?? '', token, retryDelayMs(bullJob.attemptsMade, Math.random()), fields, true);
  }

  async function giveBack(
    id: string,
    token: string,
    delayMs: number,
    fields: Record<string, unknown>,
    spends: boolean,
  ): Promise<never> {
    // A job that came this far does not crash workers: only stalls in a row count against it.
    await grip.letGo(id, token, Math.max(0, Math.round(delayMs)), { ...fields, stc: 0 }, spends);
    throw new DelayedError();
  }

  async function setAside(bullJob: BullJob<unknown>, token: string, code: ErrorCode, data: unknown): Promise<void> {
    const id = bullJob.id ?? '';
    const fields = { ...jobFields(stage.name, id), code };
    if (errors[code].action === 'alert') log.event('alert.authenticity', fields);
    // Held, or the place taken here would be for a job that somebody else has.
    if (!(await grip.holds(id, token))) throw new DelayedError();
    if (data !== bullJob.data) await grip.remember(id, dataFields(data));
    const entry = await quarantineEntry(stage, id, data, code, options);
    if (!(await index.reserve(entry, options.queue.quarantine))) {
      log.event('alert.quarantine-full', fields);
      return again(bullJob, token);
    }
    log.event('message.quarantined', fields);
    options.onQuarantine?.(code);
    throw constantError(code);
  }

  return async (bullJob, token) => {
    try {
      await run(bullJob, token);
    } catch (error) {
      if (error instanceof DelayedError || error instanceof UnrecoverableError) throw error;
      throw constantError(codeOf(error));
    }
  };
}

/** The entry of a job that is to be set aside now. */
export async function quarantineEntry<Job extends QueuedJob>(
  stage: StageShape<Job>,
  id: string,
  data: unknown,
  code: ErrorCode,
  { blobs, clock, queue }: ConsumeOptions<Job>,
): Promise<QuarantineEntry> {
  const since = clock.now();
  return {
    id,
    stage: stage.name,
    tenant: tenantOf(data),
    code,
    // What is not an id of ours has no blob.
    bytes: bornAt(id) ? await blobs.size(id) : 0,
    since,
    until: new Date(since.getTime() + queue.quarantine.days * dayMs),
  };
}

/** The tenant that the job claims; a job that claims none is nobody's. */
function tenantOf(data: unknown): TenantId {
  const claimed = typeof data === 'object' && data !== null && 'tenant' in data ? data.tenant : undefined;
  try {
    return tenantId(String(claimed));
  } catch {
    return tenantId('unknown');
  }
}

function dataFields(job: unknown): Record<string, string> {
  return { data: JSON.stringify(job) };
}

function constantError(code: ErrorCode): UnrecoverableError {
  const error = new UnrecoverableError(code);
  error.stack = '';
  return error;
}
