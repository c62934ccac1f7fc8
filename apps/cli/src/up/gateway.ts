// Starts a whole gateway on this machine in the order that its parts need each other, and stops it in the reverse one.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { UsageError } from '../usage-error.ts';
import { type Child, startChild } from './child.ts';
import { makeSecrets, writeInstallation } from './installation-file.ts';
import { type Layout, makeLayout, projectRoot } from './layout.ts';
import { makeListenerCertificate } from './listener-certificate.ts';
import { nodeFlags } from './node-flags.ts';
import { findRedisServer, redisArguments } from './redis-server.ts';
import { type Asked, type Settings, settle } from './settings.ts';

/** A cold start of a process on a busy machine stays below this. */
const readyMs = 30_000;
/** Stages drain within 8 s by themselves; all of it together stays within the promised 10 s. */
const stageStopMs = 7_500;
const keyServiceStopMs = 1_000;
const redisStopMs = 1_500;

export interface Gateway {
  readonly settings: Settings;
  /** Process ids now, by kind; a process that is being restarted is missing. */
  pids(): Pids;
  stop(): Promise<void>;
}

type Pids = Readonly<Record<'ingress' | 'worker' | 'egress' | 'keyService' | 'redis', readonly number[]>>;

/** Starts everything under the layout's directory. `progress` hears what is being done, for a person to read. */
export async function startGateway(layout: Layout, asked: Asked, progress: (line: string) => void): Promise<Gateway> {
  makeLayout(layout);
  const release = claimDirectory(layout);
  const settings = await settle(asked, join(layout.run, 'settings.json'));
  const secrets = makeSecrets(layout);
  writeInstallation(layout, settings, secrets, makeListenerCertificate(layout, secrets.passphraseFile));

  const started: Child[] = [];
  const parts: Record<keyof Pids, Child[]> = { ingress: [], worker: [], egress: [], keyService: [], redis: [] };
  const pids = (): Pids => ({
    ingress: pidsOf(parts.ingress),
    worker: pidsOf(parts.worker),
    egress: pidsOf(parts.egress),
    keyService: pidsOf(parts.keyService),
    redis: pidsOf(parts.redis),
  });
  const remember = (): void => {
    const file = join(layout.run, 'pids.json');
    // Whole or not at all: the next start after a crash reads it.
    writeFileSync(`${file}.new`, JSON.stringify(pids()), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  };
  const start = (kind: keyof Pids, spec: Omit<Parameters<typeof startChild>[0], 'logFile'>): Child => {
    const child = startChild({ ...spec, logFile: join(layout.logs, `${spec.name}.log`) }, remember);
    parts[kind].push(child);
    started.push(child);
    // It began before it was on the list.
    remember();
    return child;
  };
  const stop = async (): Promise<void> => {
    await Promise.all([...parts.ingress, ...parts.worker, ...parts.egress].map((child) => child.stop(stageStopMs)));
    await Promise.all(parts.keyService.map((child) => child.stop(keyServiceStopMs)));
    await Promise.all(parts.redis.map((child) => child.stop(redisStopMs)));
    release();
  };

  try {
    const { ports } = settings;
    progress('starting Redis (append-only file, fsync always)');
    const redis = start('redis', {
      name: 'redis',
      command: findRedisServer(progress),
      args: redisArguments(ports.redis, layout.redis),
      isReady: () => redisAnswers(ports.redis),
    });
    progress('opening the key service');
    initialiseKeys(layout);
    const keyService = start('keyService', app('key-service', layout, ports.keyServiceHttp));
    await Promise.all([redis.untilReady(readyMs), keyService.untilReady(readyMs)]);

    progress(`starting ingress, ${settings.workers} crypto worker${settings.workers === 1 ? '' : 's'} and egress`);
    start('ingress', app('ingress', layout, ports.ingressHttp));
    for (const [index, port] of ports.workerHttp.entries()) {
      start('worker', { ...app('crypto-worker', layout, port), name: `crypto-worker-${index + 1}` });
    }
    start('egress', app('egress', layout, ports.egressHttp));
    await Promise.all(started.map((child) => child.untilReady(readyMs)));
  } catch (error) {
    await stop();
    throw error;
  }
  return { settings, pids, stop };
}

function app(name: string, layout: Layout, httpPort: number) {
  const main = join(projectRoot, `apps/${name}/src/main.ts`);
  return {
    name,
    command: process.execPath,
    args: [...nodeFlags(name), main, '--config', layout.config, '--http-port', String(httpPort)],
    isReady: () => answersReady(httpPort),
  };
}

/** Makes the key store and the stages' credentials where they are missing. */
function initialiseKeys(layout: Layout): void {
  try {
    execFileSync(
      process.execPath,
      [join(projectRoot, 'apps/key-service/src/main.ts'), 'init', '--config', layout.config],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    throw new UsageError(`the key store under ${layout.keys} could not be made ready. ${said}`);
  }
}

async function answersReady(httpPort: number): Promise<boolean> {
  try {
    const answer = await fetch(`http://127.0.0.1:${httpPort}/ready`, { signal: AbortSignal.timeout(2_000) });
    await answer.body?.cancel();
    return answer.ok;
  } catch {
    return false;
  }
}

/** Redis answers PONG; while it loads its file it answers an error. */
function redisAnswers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const finish = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1_000, () => finish(false));
    socket.once('error', () => finish(false));
    socket.once('data', (data) => finish(data.toString().startsWith('+PONG')));
    socket.write('PING\r\n');
  });
}

function pidsOf(children: readonly Child[]): number[] {
  return children.flatMap((child) => child.pid() ?? []);
}

/**
 * One gateway a directory. Processes that a killed predecessor left behind end by themselves, but for its Redis: that one is
 * told to end, so that it does not hold our files.
 */
function claimDirectory(layout: Layout): () => void {
  const owner = join(layout.run, 'up.pid');
  if (existsSync(owner) && isAlive(Number(readFileSync(owner, 'utf8')))) {
    throw new UsageError(
      `${layout.root} is in use by the process ${readFileSync(owner, 'utf8')}; stop that one, or give another --dir`,
    );
  }
  const remembered = join(layout.run, 'pids.json');
  if (existsSync(remembered)) {
    const { redis }: Pids = JSON.parse(readFileSync(remembered, 'utf8'));
    for (const pid of redis) endLeftover(pid, layout.redis);
  }
  writeFileSync(owner, String(process.pid), { mode: 0o600 });
  return () => rmSync(owner, { force: true });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return pid !== process.pid;
  } catch {
    return false;
  }
}

/** Ends the process only if it is the one that works in our directory: its number may be somebody else's by now. */
function endLeftover(pid: number, directory: string): void {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    const isOurs = /(redis|valkey)-server/.test(command) && readlinkSync(`/proc/${pid}/cwd`) === directory;
    if (isOurs) process.kill(pid, 'SIGKILL');
  } catch {
    // It is gone, which is what we want.
  }
}
