// Ends the process when a message overruns its time. The engine works synchronously, so nothing in the blocked thread itself could
// notice: a second thread watches the times at which jobs in hand were last known to move. The job's lock runs out and another
// worker takes it; a message that does so every time fails for good in the queue and is set aside.

import { Worker as Thread } from 'node:worker_threads';

/** Longest synchronous piece of work that is still believed to end: a 50 MB message takes a slow machine below 3 s. */
const overrunMs = 30_000;
/** How often a thread that is not blocked says so. */
const beatMs = 500;

/** What both threads look at: the time of the last beat and the number of jobs in hand, at their places in `shared`. */
export interface Watched {
  readonly shared: BigInt64Array;
  readonly limitMs: number;
}
export const beatAt = 0;
export const jobsAt = 1;

export interface Watchdog {
  /** Counts `work` as a job in hand until it settles. */
  watch<T>(work: () => Promise<T>): Promise<T>;
  stop(): Promise<void>;
}

/** Watches this process; `limitMs` is for tests. */
export function watchdog(limitMs: number = overrunMs): Watchdog {
  const shared = new BigInt64Array(new SharedArrayBuffer(16));
  const beat = (): void => {
    Atomics.store(shared, beatAt, BigInt(Date.now()));
  };
  beat();
  const timer = setInterval(beat, Math.min(beatMs, limitMs / 4));
  timer.unref();
  const watched: Watched = { shared, limitMs };
  const thread = new Thread(new URL('./watchdog-thread.ts', import.meta.url), { workerData: watched, execArgv: [] });
  thread.unref();
  return {
    async watch(work) {
      beat();
      Atomics.add(shared, jobsAt, 1n);
      try {
        return await work();
      } finally {
        Atomics.sub(shared, jobsAt, 1n);
      }
    },
    async stop() {
      clearInterval(timer);
      await thread.terminate();
    },
  };
}
