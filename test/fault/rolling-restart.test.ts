// A changed configuration by rolling restart, as docs/operations.md orders it: every kind of process, Redis included, is ended in order
// (SIGTERM) and comes back, one process after the other, while mail flows in both directions. Nothing is lost, nothing is refused
// for good.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Installation } from '@sealpost/service';
import { connectSmtp } from '@sealpost/testkit';
import { configOf, isReady, pidsOf, until } from '../e2e/operating.ts';
import { type Kind, type Scene, startScene } from './scene.ts';
import { type Parcel, sendParcels } from './traffic.ts';

const order: readonly Kind[] = ['egress', 'worker', 'keyService', 'ingress', 'redis'];
/** Mail flows this long on what came back before the next one goes. */
const pauseMs = 500;
let scene: Scene;

before(async () => {
  scene = await startScene({ workers: 2 });
});
after(() => scene?.close());

const changed = ({ ingress, worker, egress, keyServer, ...rest }: Installation): Installation => ({
  ...rest,
  ingress: { ...ingress, inbound: { ...ingress.inbound, nextHopBytes: ingress.inbound.nextHopBytes / 2 } },
  worker: { ...worker, concurrency: worker.concurrency + 1 },
  egress: { ...egress, concurrency: egress.concurrency + 1 },
  keyServer: { ...keyServer, leases: { ...keyServer.leases, seconds: 120 } },
});

/** Ends the processes of a kind, one when the one before is back. */
async function roll(kind: Kind): Promise<void> {
  for (const old of pidsOf(scene.gateway, kind)) {
    const count = pidsOf(scene.gateway, kind).length;
    process.kill(old, 'SIGTERM');
    await until(`${kind} is back`, async () => {
      const pids = pidsOf(scene.gateway, kind);
      if (pids.length < count || pids.includes(old)) return undefined;
      return kind === 'redis' || (await isReady(scene.gateway, kind)) || undefined;
    });
    await sleep(pauseMs);
  }
}

async function announcedSize(): Promise<number> {
  const client = await connectSmtp(scene.gateway.ready.inbound);
  const { lines } = await client.greet();
  client.end();
  return Number(lines.find((line) => line.startsWith('SIZE '))?.slice(5));
}

test('all mail arrives while every kind of process is replaced with a changed configuration', {
  timeout: 200_000,
}, async (context) => {
  const { gateway } = scene;
  const [sizeBefore, pidsBefore] = [await announcedSize(), order.map((kind) => pidsOf(gateway, kind))];
  writeFileSync(join(gateway.directory, 'config.yaml'), JSON.stringify(changed(configOf(gateway))));

  const rolled = (async () => {
    for (const kind of order) await roll(kind);
    return true;
  })();
  rolled.catch(() => undefined);
  const sent: Parcel[] = [];
  const counts = { acknowledged: 0, refused: 0, unanswered: 0 };
  do {
    const parcels = scene.parcels(12);
    sent.push(...parcels);
    const { acknowledged, refused, unanswered } = await sendParcels(parcels, { sessions: 4, withinMs: 60_000 });
    counts.acknowledged += acknowledged;
    counts.refused += refused;
    counts.unanswered += unanswered;
  } while (!(await Promise.race([rolled, sleep(200, false)])));

  const duplicates = await scene.judge(sent, 60_000);
  context.diagnostic(JSON.stringify({ ...counts, duplicates }));
  assert.ok((await announcedSize()) < sizeBefore, 'the changed configuration counts');
  for (const [at, kind] of order.entries()) {
    const old = pidsBefore[at] ?? [];
    assert.deepEqual(
      pidsOf(gateway, kind).filter((pid) => old.includes(pid)),
      [],
      `no ${kind} from before`,
    );
  }
});
