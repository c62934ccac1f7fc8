// One supervised process of the installation: started, watched, started again when it dies, stopped with a deadline.

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process that dies at once is started again after a second at the latest: 0.1 s, 0.2 s, 0.4 s, … */
const longestRestartMs = 1_000;
/** A process that lived this long starts again with the shortest wait. */
const settledMs = 10_000;

export interface ChildSpec {
  /** Name in logs and in the ready line. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Standard error unless given. */
  readonly logFile?: string;
  /** Resolves to true once the process does its work. */
  readonly isReady: () => Promise<boolean>;
}

export interface Child {
  readonly name: string;
  readonly pid: () => number | undefined;
  /** Waits until it is ready; rejects when it stays away beyond the deadline. */
  untilReady(deadlineMs: number): Promise<void>;
  /** SIGTERM, then SIGKILL at the deadline; resolves when the process is gone. */
  stop(deadlineMs: number): Promise<void>;
}

/** Starts the process and keeps it running until `stop`. `onChange` hears of every new pid. */
export function startChild(spec: ChildSpec, onChange: () => void): Child {
  let process: ChildProcess | undefined;
  let isStopping = false;
  let failures = 0;
  let restart: NodeJS.Timeout | undefined;

  const start = (): void => {
    const startedAt = performance.now();
    const log = spec.logFile === undefined ? 2 : openSync(spec.logFile, 'a', 0o600);
    // A session of its own, so that a signal to our group leaves the order of stopping to us; the channel tells it when we die.
    process = spawn(spec.command, [...spec.args], { stdio: ['ignore', log, log, 'ipc'], detached: true });
    if (spec.logFile !== undefined) closeSync(log);
    onChange();
    process.once('error', () => undefined);
    process.once('exit', () => {
      process = undefined;
      if (isStopping) return;
      failures = performance.now() - startedAt > settledMs ? 0 : failures + 1;
      restart = setTimeout(start, Math.min(longestRestartMs, 50 * 2 ** failures));
    });
  };
  start();

  return {
    name: spec.name,
    pid: () => process?.pid,
    async untilReady(deadlineMs) {
      const deadline = performance.now() + deadlineMs;
      while (!(await spec.isReady())) {
        if (performance.now() > deadline)
          throw new Error(`${spec.name} did not become ready; its log is ${spec.logFile ?? 'above'}`);
        await sleep(50);
      }
    },
    async stop(deadlineMs) {
      isStopping = true;
      clearTimeout(restart);
      const running = process;
      if (!running) return;
      const gone = new Promise((resolve) => running.once('exit', resolve));
      running.kill('SIGTERM');
      const kill = setTimeout(() => running.kill('SIGKILL'), deadlineMs);
      await gone;
      clearTimeout(kill);
    },
  };
}
