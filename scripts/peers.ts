// The programs by others that the tests talk to. As root on Debian the missing ones are installed; elsewhere they are named, and a test
// that needs one says so and skips.

import { spawnSync } from 'node:child_process';
import { accessSync } from 'node:fs';

/** Debian package → a file by which we know that it is there. */
const peers: Readonly<Record<string, readonly string[]>> = {
  'redis-server': ['/usr/bin/redis-server', '/usr/bin/valkey-server', '/usr/local/bin/redis-server'],
  openssl: ['/usr/bin/openssl', '/usr/local/bin/openssl'],
  swaks: ['/usr/bin/swaks'],
  'libnet-ssleay-perl': [],
  postfix: ['/usr/sbin/postfix'],
  softhsm2: ['/usr/bin/softhsm2-util', '/opt/homebrew/bin/softhsm2-util'],
  gpgsm: ['/usr/bin/gpgsm', '/usr/local/bin/gpgsm'],
  prometheus: ['/usr/bin/promtool', '/usr/local/bin/promtool'],
};

/** What one suite alone needs; a Java compiler is large. */
const peersOfSuite: Readonly<Record<string, typeof peers>> = {
  fault: { strace: ['/usr/bin/strace'] },
  interop: { 'libbcmail-java': ['/usr/share/java/bcmail.jar'], 'default-jdk-headless': ['/usr/bin/javac'] },
};

/** Installs what is missing for a suite where that can be done; says what cannot. */
export function installPeers(suite: string): void {
  const wanted = { ...peers, ...peersOfSuite[suite] };
  const missing = Object.keys(wanted).filter((name) => !isThere(name, wanted[name] ?? []));
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0 || spawnSync('apt-get', ['--version']).status !== 0) {
    process.stderr.write(`Tests that talk to these will skip; install them first to run all: ${missing.join(' ')}\n`);
    return;
  }
  process.stderr.write(`Installing the tests' peers, once: ${missing.join(' ')} …\n`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args: string[]) => spawnSync('apt-get', args, { env, stdio: ['ignore', 'ignore', 2] }).status === 0;
  apt('update', '-qq');
  if (!apt('install', '-y', '-qq', '--no-install-recommends', ...missing)) {
    process.stderr.write('apt-get could not install them all; tests that need a missing one will skip.\n');
  }
}

function isThere(name: string, files: readonly string[]): boolean {
  return files.some(exists) || spawnSync('dpkg', ['-s', name], { stdio: 'ignore' }).status === 0;
}

function exists(file: string): boolean {
  try {
    accessSync(file);
    return true;
  } catch {
    return false;
  }
}
