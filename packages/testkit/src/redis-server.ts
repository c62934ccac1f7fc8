// A real Redis (or Valkey) of one's own on a free loopback port, set as the gateway demands it: every write is on disk before it
// is answered. It can be killed and started again on the same files.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.ts';
import { type TemporaryDirectory, temporaryDirectory } from './temporary-directory.ts';

/** Loading a test's data takes milliseconds; a server that is not there after this will not come. */
const startTimeoutMs = 10_000;
/** Another process may take the free port between looking and listening. */
const startTries = 3;

export interface RedisServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly directory: string;
  /** Process id, changes with each start. */
  readonly pid: number | undefined;
  /** SIGKILL: what was not on disk is gone. */
  kill(): Promise<void>;
  /** SIGSTOP and SIGCONT: connections stay open and nothing answers. */
  pause(): void;
  resume(): void;
  /** Again on the same port and files; resolves when it answers. */
  start(): Promise<void>;
  /** Ends it and removes its directory, if that was made here. */
  stop(): Promise<void>;
}

export interface RedisOptions {
  /** Where its files are; a temporary directory unless given. */
  readonly directory?: string;
  readonly port?: number;
  /** Settings over those that the gateway demands, `{ maxmemory: '64mb' }`. */
  readonly settings?: Readonly<Record<string, string>>;
}

const demanded = {
  appendonly: 'yes',
  appendfsync: 'always',
  'maxmemory-policy': 'noeviction',
  save: '',
  // Rewriting the log forks; small files would do it all the time.
  'auto-aof-rewrite-min-size': '1gb',
};

/** Starts it; resolves when it answers. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const temporary: TemporaryDirectory | undefined =
    options.directory === undefined ? await temporaryDirectory() : undefined;
  const directory = options.directory ?? temporary?.path ?? '';
  const program = findProgram();
  let port = options.port ?? (await freePort());
  let child: ChildProcess | undefined;

  async function launch(): Promise<void> {
    const settings = { bind: '127.0.0.1', port: String(port), dir: directory, ...demanded, ...options.settings };
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
    const started = spawn(program, args, { stdio: 'ignore' });
    child = started;
    const endOfParent = () => started.kill('SIGKILL');
    process.once('exit', endOfParent);
    started.once('exit', () => process.removeListener('exit', endOfParent));
    await answers(started, port);
  }

  async function end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGCONT');
    child.kill(signal);
    await exited;
  }

  for (let attempt = 1; ; attempt++) {
    try {
      await launch();
      break;
    } catch (error) {
      await end('SIGKILL');
      if (options.port !== undefined || attempt >= startTries) throw error;
      port = await freePort();
    }
  }

  async function stop(): Promise<void> {
    await end('SIGTERM');
    await temporary?.remove();
  }
  return {
    host: '127.0.0.1',
    get port() {
      return port;
    },
    directory,
    get pid() {
      return child?.pid;
    },
    kill: () => end('SIGKILL'),
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    start: launch,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** The first of the two on the path; both speak the same protocol. */
function findProgram(): string {
  const found = ['redis-server', 'valkey-server']
    .flatMap((name) => (process.env.PATH ?? '').split(delimiter).map((directory) => join(directory, name)))
    .find(isExecutable);
  if (found === undefined) throw new Error('Neither redis-server nor valkey-server is on the path');
  return found;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function answers(child: ChildProcess, port: number): Promise<void> {
  const deadline = performance.now() + startTimeoutMs;
  while (performance.now() < deadline) {
    if (child.exitCode !== null) throw new Error('Redis ended while starting');
    if (await answersPing(port)) return;
    await sleep(20);
  }
  throw new Error('Redis does not answer');
}

function answersPing(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ port, host: '127.0.0.1' }, () => socket.write('PING\r\n'));
  socket.setTimeout(1_000, () => socket.destroy());
  socket.once('data', (bytes) => {
    resolve(bytes.toString().startsWith('+PONG'));
    socket.destroy();
  });
  socket.once('error', () => resolve(false));
  socket.once('close', () => resolve(false));
  return promise;
}
