// The end of a process. SIGTERM and SIGINT: not ready, stop accepting, finish what is in hand, close, all within a deadline; a
// second signal ends it at once. An error that nobody caught ends it too: its state cannot be trusted, and everything
// in hand is in the queue.

import type { Log } from '@sealpost/core';
import { within } from './within.ts';

/** `npm start` and the CLI promise an end within 10 s; this leaves time to close what comes after the work itself. */
const drainDeadlineMs = 8_000;
/** For telemetry and the health server, after the work has stopped. */
const closeDeadlineMs = 1_000;

/** 128 + signal number, as shells report it. */
const exitCodes = { SIGTERM: 143, SIGINT: 130 } as const;

export interface Ending {
  /** Stops the work; must not take longer than the deadline. */
  stop(deadlineMs: number): Promise<void>;
  /** Closes what the work needed until its end. */
  close(): Promise<void>;
}

export interface Drain {
  /** True from the first signal on. */
  isDraining(): boolean;
}

/** Watches for the end. Exit codes: 0 after an orderly end, 1 when something was left undone. */
export function watchForEnd(log: Log, ending: Ending): Drain {
  let draining = false;

  async function drain(): Promise<void> {
    const started = performance.now();
    log.event('process.draining');
    const stopped = await ends(drainDeadlineMs, () => ending.stop(drainDeadlineMs), log);
    const closed = await ends(closeDeadlineMs, () => ending.close(), log);
    log.event('process.stopped', { durationMs: Math.round(performance.now() - started) });
    process.exit(stopped && closed ? 0 : 1);
  }

  function begin(): void {
    draining = true;
    void drain();
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => (draining ? process.exit(exitCodes[signal]) : begin()));
  }
  // A supervisor that holds a channel to us and is gone cannot signal any more: nobody would ever end us.
  process.once('disconnect', () => draining || begin());
  process.on('uncaughtException', (error) => die(log, error));
  process.on('unhandledRejection', (error) => die(log, error));
  return { isDraining: () => draining };
}

/** Logs and ends the process. */
function die(log: Log, error: unknown): never {
  log.event('process.failed', { code: 'internal', ...(error instanceof Error ? { error } : {}) });
  process.exit(1);
}

async function ends(deadlineMs: number, work: () => Promise<void>, log: Log): Promise<boolean> {
  try {
    await within(deadlineMs, work);
    return true;
  } catch (error) {
    log.event('process.failed', { code: 'internal', ...(error instanceof Error ? { error } : {}) });
    return false;
  }
}
