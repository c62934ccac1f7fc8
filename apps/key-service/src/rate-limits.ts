// How often one client certificate may ask: far above what an honest stage or person needs, far below what would keep everybody else
// from being served. A bucket that fills evenly; what does not fit is refused before its body is read.

interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** A worker that asks for each key by itself, at the highest load that was measured, stays below. */
const services: Rate = { perSecond: 5_000, burst: 10_000 };
/** Scripts of an operator that adds a whole organisation. */
const people: Rate = { perSecond: 100, burst: 1_000 };
/** Certificates that are known at once; an installation has dozens. */
const maxClients = 4_096;

interface Bucket {
  left: number;
  at: number;
}

export interface RateLimits {
  /** Takes one request of the client with this certificate; false when it may not ask now. */
  take(client: string, kind: 'service' | 'person', now: Date): boolean;
}

export function openRateLimits(): RateLimits {
  const buckets = new Map<string, Bucket>();
  return {
    take(client, kind, now) {
      const { perSecond, burst } = kind === 'service' ? services : people;
      const time = now.getTime();
      const bucket = buckets.get(client) ?? { left: burst, at: time };
      // A clock that was set back gives nothing.
      const passed = Math.max(0, time - bucket.at) / 1_000;
      bucket.left = Math.min(burst, bucket.left + passed * perSecond);
      bucket.at = time;
      if (buckets.size >= maxClients && !buckets.has(client)) buckets.clear();
      buckets.set(client, bucket);
      if (bucket.left < 1) return false;
      bucket.left -= 1;
      return true;
    },
  };
}
