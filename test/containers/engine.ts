// A Docker engine and compose, in whichever of their forms the machine has: the engine that runs, or one that the project's tool starts,
// with the base images that no registry has to be reached for.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { getCACertificates } from 'node:tls';

/** A build fetches the libraries once. */
const longestMs = 8 * 60_000;

/** Makes an engine answer; the reason where there is none. The variable, or the place beside the checkout, names the tool. */
export function whyNoEngine(): string | undefined {
  const tool = process.env.SEALPOST_DOCKER_TOOL ?? join(import.meta.dirname, '../../../shared/tools/local-docker.sh');
  if (existsSync(tool)) {
    const run = spawnSync('bash', [tool], {
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: longestMs,
      encoding: 'utf8',
    });
    if (run.status !== 0) return `${tool} could not start an engine: ${run.stderr.trim().split('\n').at(-1)}`;
  }
  if (spawnSync('docker', ['info'], { stdio: 'ignore' }).status !== 0) return 'no Docker engine answers';
  return composeCommand() ? undefined : 'there is neither docker compose nor docker-compose';
}

/** Compose v2 where it is there, else docker-compose 1.29. */
export function composeCommand(): readonly string[] | undefined {
  const forms = [['docker', 'compose'], ['docker-compose']] as const;
  return forms.find(([name, ...words]) => spawnSync(name, [...words, 'version'], { stdio: 'ignore' }).status === 0);
}

export function docker(...args: string[]): string {
  return execFileSync('docker', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}

/** Runs a command without holding up the test; rejects with the end of what it said. */
export function run([name = '', ...args]: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const child = spawn(name, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: longestMs,
  });
  let out = '';
  let all = '';
  child.stdout.on('data', (data) => {
    out += String(data);
    all += String(data);
  });
  child.stderr.on('data', (data) => {
    all += String(data);
  });
  child.once('error', reject);
  child.once('close', (code) =>
    code === 0
      ? resolve(out)
      : reject(new Error(`${name} ${args.join(' ')} ended with ${code}:\n${all.slice(-4_000)}`)),
  );
  return promise;
}

/** CAs that this machine trusts beyond the usual ones: behind a proxy that opens TLS, the build needs its CA as well. */
export function extraAuthorities(): string {
  const bare = (pem: string): string => pem.replace(/\s/g, '');
  const usual = new Set(getCACertificates('bundled').map(bare));
  return getCACertificates('extra')
    .filter((pem) => !usual.has(bare(pem)))
    .join('\n');
}
