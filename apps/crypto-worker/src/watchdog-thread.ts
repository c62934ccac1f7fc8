// The watchdog's own thread: ends the process when a job is in hand and the main thread has not moved for too long. SIGKILL,
// because a blocked event loop runs no signal handler.

import { workerData } from 'node:worker_threads';
import { beatAt, jobsAt, type Watched } from './watchdog.ts';

const { shared, limitMs } = workerData as Watched;

setInterval(
  () => {
    const silentMs = Date.now() - Number(Atomics.load(shared, beatAt));
    if (Atomics.load(shared, jobsAt) > 0n && silentMs > limitMs) process.kill(process.pid, 'SIGKILL');
  },
  Math.min(1_000, limitMs / 4),
);
