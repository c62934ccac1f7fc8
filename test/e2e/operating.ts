// What a test does to a running installation as its operator, or as somebody at its machine: reads its logs, holds its processes,
// changes its configuration, waits for what it does.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EventName, QuarantineEntry } from '@sealpost/core';
import { connectRedis, openBlobs, redisQuarantine } from '@sealpost/queue';
import { type Installation, loadConfig } from '@sealpost/service';
import type { Ready, TestInstallation } from './installation.ts';

export type Kind = keyof Ready['pids'];

/** Everything here takes seconds; under a loaded machine some more. */
const patienceMs = 30_000;

/** Asks again and again until there is an answer. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  withinMs: number = patienceMs,
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`it did not happen: ${what}`);
    await sleep(50);
  }
}

export function configOf({ directory }: TestInstallation): Installation {
  return loadConfig(join(directory, 'config.yaml'));
}

/** Process ids now; the ready line holds those of the start. */
export function pidsOf({ directory }: TestInstallation, kind: Kind): readonly number[] {
  return (JSON.parse(readFileSync(join(directory, 'run/pids.json'), 'utf8')) as Ready['pids'])[kind];
}

/** SIGSTOP: connections stay open and nothing answers. */
export function pause(gateway: TestInstallation, kind: Kind): void {
  const pids = pidsOf(gateway, kind);
  if (pids.length === 0) throw new Error(`no ${kind} runs`);
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
}

export function resume(gateway: TestInstallation, kind: Kind): void {
  for (const pid of pidsOf(gateway, kind)) process.kill(pid, 'SIGCONT');
}

/** Ends the processes of these kinds and waits until the supervisor's new ones are ready. */
export async function restart(gateway: TestInstallation, ...kinds: Exclude<Kind, 'redis'>[]): Promise<void> {
  const before = new Map(kinds.map((kind) => [kind, pidsOf(gateway, kind)]));
  for (const pid of [...before.values()].flat()) process.kill(pid, 'SIGTERM');
  for (const [kind, old] of before) {
    await until(`${kind} is back`, async () => {
      const pids = pidsOf(gateway, kind);
      if (pids.length < old.length || pids.some((pid) => old.includes(pid))) return undefined;
      return (await isReady(gateway, kind)) || undefined;
    });
  }
}

/** What all processes of a kind say of themselves. */
export async function isReady({ ready }: TestInstallation, kind: Exclude<Kind, 'redis'>): Promise<boolean> {
  const answers = ready.metrics[kind].map(async (metrics) => {
    try {
      return (await fetch(metrics.replace(/metrics$/, 'ready'), { signal: AbortSignal.timeout(2_000) })).ok;
    } catch {
      return false;
    }
  });
  return (await Promise.all(answers)).every(Boolean);
}

/** Writes the installation's file anew (JSON is YAML) and restarts who reads it; `up` writes its own at its next start. */
export async function reconfigure(
  gateway: TestInstallation,
  change: (config: Installation) => Installation,
  ...kinds: Exclude<Kind, 'redis'>[]
): Promise<void> {
  writeFileSync(join(gateway.directory, 'config.yaml'), JSON.stringify(change(configOf(gateway))));
  await restart(gateway, ...kinds);
}

export interface LogLine {
  readonly event: EventName;
  readonly role: string;
  readonly message?: string;
  readonly delivery?: string;
  readonly code?: string;
  readonly reason?: string;
}

/** Every event that the processes logged so far. */
export function logged({ directory }: TestInstallation): LogLine[] {
  const logs = join(directory, 'log');
  return readdirSync(logs)
    .flatMap((name) => readFileSync(join(logs, name), 'utf8').split('\n'))
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
}

export interface Aside extends AsyncDisposable {
  /** The entry of a message or delivery, once it is in quarantine. */
  entry(id: string): Promise<QuarantineEntry>;
  list(): Promise<readonly QuarantineEntry[]>;
}

/** The quarantine, without a command for each look. */
export async function watchQuarantine(gateway: TestInstallation): Promise<Aside> {
  const { redis, blobs } = configOf(gateway);
  const link = await connectRedis(redis, { event: () => undefined });
  const store = await openBlobs(blobs, link);
  const quarantine = redisQuarantine(link, store);
  return {
    entry: (id) => until(`${id} is set aside`, () => quarantine.get(id)),
    list: () => quarantine.list(100),
    async [Symbol.asyncDispose]() {
      await store.close();
      await link.close();
    },
  };
}
