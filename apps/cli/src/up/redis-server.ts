// Finds the Redis that `sealpost up` runs: `redis-server` or `valkey-server` on the path; else Debian's package, if we may.

import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { UsageError } from '../usage-error.ts';

const names = ['redis-server', 'valkey-server'];
const searched = [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/usr/local/bin'];

/** Path of the server; installs Debian's package when there is none and we are root, else says what to install. */
export function findRedisServer(progress: (line: string) => void): string {
  const found = search();
  if (found) return found;
  if (process.getuid?.() === 0 && onPath('apt-get')) {
    progress('no redis-server here; installing the Debian package redis-server …');
    install();
    const installed = search();
    if (installed) return installed;
  }
  throw new UsageError(
    'Sealpost needs Redis on this machine and found none. Install it (Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis) and run the command again.',
  );
}

function search(): string | undefined {
  return names.map(onPath).find((path) => path !== undefined);
}

function onPath(name: string): string | undefined {
  return searched.map((directory) => join(directory, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The package must not start a server of its own: a policy-rc.d answer for this one run would touch the system, an environment does not. */
function install(): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  spawnSync('apt-get', ['update', '-qq'], { env, stdio: ['ignore', 'ignore', 2] });
  spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'redis-server'], {
    env,
    stdio: ['ignore', 'ignore', 2],
  });
}

/** Arguments under which an acknowledged message survives a crash of the machine (RFC 5321 §6.1). */
export function redisArguments(port: number, directory: string): string[] {
  const settings: Readonly<Record<string, string>> = {
    port: String(port),
    bind: '127.0.0.1',
    dir: directory,
    appendonly: 'yes',
    appendfsync: 'always',
    save: '',
    maxmemory: '1gb',
    'maxmemory-policy': 'noeviction',
    // Default rewriting forked 24 times in 20 s under large values (measured).
    'auto-aof-rewrite-min-size': '1gb',
    daemonize: 'no',
  };
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
}
