// What fault tests play on: a whole gateway between an inside and an outside, and mail through it whose arrival can be judged.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type SinkOptions, type SmtpSink, startSmtpSink } from '@sealpost/testkit';
import { type Ready, startInstallation, type TestInstallation } from '../e2e/installation.ts';
import { judgeMessage, openPost } from './post.ts';
import { arrivedParcels, type Parcel, untilArrived } from './traffic.ts';

export type Kind = keyof Ready['pids'];

export interface Scene {
  readonly gateway: TestInstallation;
  readonly inside: SmtpSink;
  readonly outside: SmtpSink;
  /** Half outbound, half inbound; of the latter every other one signed and encrypted. */
  parcels(count: number): Parcel[];
  /** Waits until all are there, judges each, and shows that nothing was set aside; the number of duplicates. */
  judge(parcels: readonly Parcel[], withinMs: number): Promise<number>;
  /** SIGKILL of one process of this kind; resolves when it is gone. */
  kill(kind: Kind): Promise<void>;
  close(): Promise<void>;
}

export async function startScene(options: { workers?: number; outside?: SinkOptions } = {}): Promise<Scene> {
  const [inside, outside] = [await startSmtpSink(), await startSmtpSink(options.outside)];
  const gateway = await startInstallation({
    internal: inside.port,
    external: outside.port,
    workers: options.workers ?? 2,
  });
  const post = await openPost(gateway.cli, gateway.ready);

  return {
    gateway,
    inside,
    outside,
    parcels: post.parcels,
    async judge(parcels, withinMs) {
      const duplicates = await untilArrived(parcels, [inside, outside], withinMs);
      const arrived = arrivedParcels(inside, outside);
      for (const { name, message } of parcels) {
        for (const { transaction } of arrived.get(name) ?? [])
          judgeMessage(name, Buffer.from(message), transaction.message);
      }
      assert.deepEqual(await gateway.cli('queue', 'list'), [], 'nothing was set aside');
      return duplicates;
    },
    kill: (kind) => killOne(gateway.directory, kind),
    async close() {
      await gateway.stop();
      await Promise.all([inside.close(), outside.close()]);
      post.close();
    },
  };
}

/** The newest of them, as `sealpost up` remembers it; waits while one is being started. */
async function killOne(directory: string, kind: Kind): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const pids: Ready['pids'] = JSON.parse(readFileSync(join(directory, 'run/pids.json'), 'utf8'));
    const pid = pids[kind].at(-1);
    if (pid !== undefined && signal(pid, 'SIGKILL')) {
      while (signal(pid, 0)) await sleep(5);
      return;
    }
    await sleep(50);
  }
  throw new Error(`no process of ${kind} to kill`);
}

function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}
