// A key service that is killed in the middle of a write: made once, put back to what was kept before each try, and watched by strace,
// whose injection ends it at the n-th call on one of the files.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type Installation, type KeyConnection, loadConfig, openKeyConnection } from '@sealpost/service';
import { freePort, temporaryDirectory } from '@sealpost/testkit';
import { runInit, writeConfig } from '../../apps/key-service/test/running-key-service.ts';

const main = join(import.meta.dirname, '../../apps/key-service/src/main.ts');
const startMs = 30_000;
const parts = ['keys', 'audit'] as const;

export const hasStrace = spawnSync('strace', ['-V']).status === 0;
export const auditFiles = ['audit', 'audit/audit.log', 'audit/audit.log.next'];
export const storeFiles = ['keys', 'keys/store.sqlite', 'keys/store.sqlite-wal', 'keys/store.sqlite-journal'];
/** What SQLite writes by; a kill before a synchronisation is one after the write before it: the kernel keeps what it has. */
export const storeCalls = 'pwrite64,write,ftruncate,unlink';

/** Which calls on which files are counted, each by itself. */
export interface Point {
  readonly calls: string;
  readonly files: readonly string[];
  readonly at: number;
}

export interface Bench extends AsyncDisposable {
  readonly directory: string;
  readonly config: Installation;
  /** Starts the service, to be killed at `point` if there is one. */
  start(point?: Point): ChildProcess;
  /** Has a running service killed at `point`, counted from now. What it returns ends the watching. */
  watch(child: ChildProcess, point: Point): Promise<() => void>;
  /** A connection of the operator's once the service answered whether its store is open; undefined when it ended before. */
  reached(child: ChildProcess): Promise<{ operator: KeyConnection; sealed: boolean } | undefined>;
  end(child: ChildProcess, operator?: KeyConnection): Promise<void>;
  /** Keeps store and log as they are, for `reset`. */
  keep(): void;
  reset(): void;
  /** Every record that is there. */
  log(): string;
}

export async function openBench(audit: { readonly segmentBytes?: number } = {}): Promise<Bench> {
  const place = await temporaryDirectory();
  const keyServer = { audit: { file: join(place.path, 'audit', 'audit.log'), ...audit } };
  const configFile = writeConfig(place.path, await freePort(), await freePort(), { keyServer });
  if (runInit(configFile).status !== 0) throw new Error('init failed');
  const config = loadConfig(configFile);
  const under = ({ calls, files, at }: Point): string[] => [
    ...['-f', '-o', '/dev/null', ...files.flatMap((file) => ['-P', join(place.path, file)])],
    ...['-e', `trace=${calls}`, '-e', `inject=${calls}:signal=SIGKILL:when=${at}`],
  ];
  const isOver = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

  return {
    directory: place.path,
    config,
    start(point) {
      const command = [process.execPath, main, '--config', configFile];
      const [program = '', ...args] = point ? ['strace', '-qq', ...under(point), ...command] : command;
      // One thread for files, so that the points come in one order.
      return spawn(program, args, {
        stdio: 'ignore',
        detached: true,
        env: { ...process.env, UV_THREADPOOL_SIZE: '1' },
      });
    },
    async watch(child, point) {
      const args = [...under(point), '-p', String(child.pid)];
      const strace = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
      await once(strace.stderr, 'data');
      // It may hang on threads that ended with the process that it killed.
      return () => strace.kill('SIGKILL');
    },
    async reached(child) {
      const operator = openKeyConnection(config.keyService, 'operator');
      for (const deadline = Date.now() + startMs; Date.now() < deadline && !isOver(child); await wait(50)) {
        const status = await operator.call('status', {}).catch(() => undefined);
        if (status) return { operator, sealed: status.sealed };
      }
      operator.close();
      return undefined;
    },
    async end(child, operator) {
      operator?.close();
      if (isOver(child)) return;
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
    },
    keep() {
      for (const part of parts) cpSync(join(place.path, part), join(place.path, `kept-${part}`), { recursive: true });
    },
    reset() {
      for (const part of parts) {
        rmSync(join(place.path, part), { recursive: true });
        cpSync(join(place.path, `kept-${part}`), join(place.path, part), { recursive: true });
      }
    },
    log: () =>
      readdirSync(join(place.path, 'audit'))
        .filter((each) => each.startsWith('audit.log'))
        .map((each) => readFileSync(join(place.path, 'audit', each), 'utf8'))
        .join(''),
    [Symbol.asyncDispose]: () => place.remove(),
  };
}

/** Ends what may run below strace: the group, because strace would leave the process that it watches. */
export async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  process.kill(-(child.pid ?? 0), 'SIGKILL');
  await gone;
}
