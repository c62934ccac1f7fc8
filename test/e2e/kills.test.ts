// No acknowledged message is lost when a process dies: while mail flows both ways, one SIGKILL each of ingress, crypto worker, egress
// and key service, which `sealpost up` starts again. Duplicates are allowed (RFC 5321 §6.1), loss is not.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Kind, type Scene, startScene } from '../fault/scene.ts';
import { sendParcels } from '../fault/traffic.ts';

/** In this order the long way back, of a job whose worker died, runs beside the others. */
const victims: readonly Kind[] = ['worker', 'egress', 'ingress', 'keyService'];
const perVictim = 16;
let scene: Scene;

before(async () => {
  scene = await startScene();
});
after(() => scene?.close());

test('every acknowledged message arrives over the death of each kind of process', async (context) => {
  const parcels = scene.parcels(victims.length * perVictim);
  const deaths: Promise<void>[] = [];
  const counts = await sendParcels(parcels, {
    sessions: 4,
    withinMs: 30_000,
    onAcknowledged(count) {
      const victim = victims[Math.floor(count / perVictim)];
      if (victim && count % perVictim === perVictim / 2) deaths.push(scene.kill(victim));
    },
  });
  await Promise.all(deaths);
  assert.equal(deaths.length, victims.length);
  const duplicates = await scene.judge(parcels, 35_000);
  context.diagnostic(JSON.stringify({ ...counts, duplicates }));
});
