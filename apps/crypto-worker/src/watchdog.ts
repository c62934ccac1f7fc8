// Ends the process when a message overruns its time. The engine works synchronously, so nothing in the blocked thread itself could
// notice: a second thread watches the times at which jobs in hand were last known to move. The job's lock runs out and another
// worker takes it; a message that does so every time fails for good in the queue and is set aside.

import { Worker as Thread } from 'node:worker_threads';

/** Longest synchronous piece of work that is still believed to end: a 50 MB message takes a slow machine below 3 s. */
export const overrunMs = 30_000;
/** How often a thread that is not blocked says so. */
const beatMs = 500;

export interface Watchdog {
  /** Counts `work` as a job in hand until it settles. */
  watch<T>(work: () => Promise<T>): Promise<T>;
  stop(): Promise<void>;
}

/** Watches this process; `limitMs` is for tests. */
export function watchdog(limitMs: number = overrunMs): Watchdog {
  // [0] time of the last beat, [1] jobs in hand.
  const shared = new BigInt64Array(new SharedArrayBuffer(16));
  const beat = (): void => {
    Atomics.store(shared, 0, BigInt(Date.now()));
  };
  beat();
  const timer = setInterval(beat, beatMs);
  timer.unref();
  const thread = new Thread(watcher, { eval: true, workerData: { shared, limitMs, pid: process.pid } });
  thread.unref();
  return {
    async watch(work) {
      beat();
      Atomics.add(shared, 1, 1n);
      try {
        return await work();
      } finally {
        Atomics.sub(shared, 1, 1n);
      }
    },
    async stop() {
      clearInterval(timer);
      await thread.terminate();
    },
  };
}

/** Runs in the second thread. SIGKILL, because a blocked event loop runs no signal handler. */
const watcher = `
const { workerData: { shared, limitMs, pid } } = require('node:worker_threads');
setInterval(() => {
  const silentMs = Date.now() - Number(Atomics.load(shared, 0));
  if (Atomics.load(shared, 1) > 0n && silentMs > limitMs) process.kill(pid, 'SIGKILL');
}, Math.min(1000, limitMs / 4));
`;
