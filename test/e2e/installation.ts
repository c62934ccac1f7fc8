// A whole gateway for a test, started by the command that people use: `sealpost up --json --dir DIR`.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

const command = join(import.meta.dirname, '../../apps/cli/src/main.ts');

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** The ready line of DESIGN.md. */
export interface Ready {
  readonly ready: true;
  readonly outbound: HostPort;
  readonly inbound: HostPort;
  readonly redis: HostPort;
  readonly keyService: { readonly url: string };
  readonly metrics: Readonly<Record<'ingress' | 'worker' | 'egress' | 'keyService', readonly string[]>>;
  readonly pids: Readonly<Record<'ingress' | 'worker' | 'egress' | 'keyService' | 'redis', readonly number[]>>;
}

export interface InstallationOptions {
  readonly domain?: string;
  /** Port on 127.0.0.1 that takes mail for the domain. */
  readonly internal?: number;
  /** Port on 127.0.0.1 that takes mail for the world. */
  readonly external?: number;
  readonly workers?: number;
  /** An existing state directory; without it a new one, removed at the end. */
  readonly directory?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface TestInstallation {
  readonly ready: Ready;
  readonly directory: string;
  /** Runs a `sealpost` command on this installation; the parsed JSON that it printed. Throws with its standard error. */
  cli(...args: string[]): Promise<unknown>;
  /** SIGTERM; resolves with the milliseconds until it was gone. */
  stop(): Promise<number>;
  /** SIGKILL to the supervisor only, as a crash of it would be. */
  crash(): Promise<void>;
}

/** Starts it and waits for the ready line. Stop it in `after`. */
export async function startInstallation(options: InstallationOptions = {}): Promise<TestInstallation> {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'sealpost-e2e-'));
  const hop = (name: string, port: number | undefined) => (port === undefined ? [] : [name, `127.0.0.1:${port}`]);
  const args = [
    ...[command, 'up', '--json', '--dir', directory, '--domain', options.domain ?? 'alpha.test'],
    ...['--workers', String(options.workers ?? 1)],
    ...hop('--next-hop-internal', options.internal),
    ...hop('--next-hop-external', options.external),
  ];
  const up = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  });
  const ready = await readyLine(up);
  return {
    ready,
    directory,
    async cli(...words) {
      const { stdout } = await promisify(execFile)(process.execPath, [command, ...words, '--dir', directory, '--json']);
      return JSON.parse(stdout);
    },
    async stop() {
      const started = performance.now();
      if (up.exitCode === null && up.signalCode === null) {
        const gone = new Promise((resolve) => up.once('exit', resolve));
        up.kill('SIGTERM');
        await gone;
      }
      const took = performance.now() - started;
      if (options.directory === undefined) rmSync(directory, { recursive: true, force: true });
      return took;
    },
    async crash() {
      const gone = new Promise((resolve) => up.once('exit', resolve));
      up.kill('SIGKILL');
      await gone;
    },
  };
}

function readyLine(up: ChildProcess): Promise<Ready> {
  return new Promise((resolve, reject) => {
    let said = '';
    up.stderr?.on('data', (data) => {
      said += String(data);
    });
    up.once('exit', (code) => reject(new Error(`sealpost up ended with ${code}: ${said}`)));
    if (up.stdout) createInterface(up.stdout).once('line', (line) => resolve(JSON.parse(line)));
  });
}

/** Whether there is a process with this id. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // One that has ended and that its parent has not asked about yet still takes signals.
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
