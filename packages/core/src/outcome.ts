// How a stage ends its work on a job, and what an error means for that: the only places mail can go are on, later, back, or aside.

import { codeOf, type ErrorCode, errors } from './errors.ts';

/** What a handler tells the queue about one job. */
export type Outcome<Job> =
  /** Everything that the job asked for is done and durable. */
  | { readonly kind: 'done' }
  /** Try again at `at` with `job`, which remembers what is settled; `code` says why, for lists and metrics. */
  | { readonly kind: 'later'; readonly at: Date; readonly job: Job; readonly code: ErrorCode }
  /** Set aside for a person, with the reason; `job`, where given, is what a release puts back. */
  | { readonly kind: 'quarantine'; readonly code: ErrorCode; readonly job?: Job };

export type ErrorOutcome = 'retry' | 'bounce' | 'quarantine';

/**
 * What an error means for a message that was accepted `ageMs` ago and may wait `maxAgeMs`. `reject` cannot be said any more once
 * mail is accepted, so it becomes a bounce; `alert` sets the message aside.
 */
export function outcomeOf(error: unknown, ageMs: number, maxAgeMs: number): { code: ErrorCode; outcome: ErrorOutcome } {
  const code = codeOf(error);
  const { action, exhausted } = errors[code] as (typeof errors)[ErrorCode] & { exhausted?: 'bounce' | 'quarantine' };
  switch (action) {
    case 'retry':
      return { code, outcome: ageMs < maxAgeMs ? 'retry' : (exhausted ?? 'quarantine') };
    case 'reject':
    case 'bounce':
      return { code, outcome: 'bounce' };
    case 'quarantine':
    case 'alert':
      return { code, outcome: 'quarantine' };
  }
}

/** First wait before a retry. */
const firstDelayMs = 1_000;
/** Longest wait between two tries. */
const longestDelayMs = 15 * 60_000;

/** Exponential backoff with full jitter over its upper half, so that a thousand messages do not come back at once. */
export function retryDelayMs(attempt: number, random: number): number {
  const ceiling = Math.min(longestDelayMs, firstDelayMs * 2 ** Math.min(attempt, 20));
  return Math.round(ceiling / 2 + (random * ceiling) / 2);
}
