// Orphans: bytes whose job never came to be (ingress died between the two, so nobody was answered) or is long done. A job that
// still waits or is set aside keeps its bytes however old they are.

import type { RedisLink } from '../connect-redis.ts';
import { stageKey } from '../stage-shape.ts';
import type { SpoolBlobs } from './spool-blobs.ts';

/** A margin over the longest queue life, for clocks that differ. */
const marginMs = 60 * 60_000;

/** Removes the orphans older than `lifeMs`; returns how many. */
export async function sweepBlobs(redis: RedisLink, blobs: SpoolBlobs, now: Date, lifeMs: number): Promise<number> {
  let count = 0;
  for await (const id of blobs.olderThan(new Date(now.getTime() - lifeMs - marginMs))) {
    const owner = id.replace(/^plan-/, '');
    const jobs = await redis.client.exists(stageKey('crypto', owner), stageKey('delivery', owner));
    if (jobs > 0) continue;
    await blobs.remove(id);
    count += 1;
  }
  return count;
}
