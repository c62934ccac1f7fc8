// How long a job waited for its first start, by the clocks of two hosts; unknown for later tries.

import type { Job as BullJob } from 'bullmq';

export function waitedMs({ attemptsStarted, timestamp }: BullJob<unknown>): { readonly waitedMs?: number } {
  return attemptsStarted === 1 ? { waitedMs: Math.max(0, Date.now() - timestamp) } : {};
}
