// The long form of test/e2e/kills.test.ts: SIGKILL of every kind of process, Redis included, once during a run of 200 messages of
// mixed sizes in both directions.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Kind, type Scene, startScene } from './scene.ts';
import { sendParcels } from './traffic.ts';

const victims: readonly Kind[] = ['worker', 'egress', 'redis', 'ingress', 'keyService'];
const perVictim = 40;
let scene: Scene;

before(async () => {
  scene = await startScene();
});
after(() => scene?.close());

test('all 200 messages arrive over the death of each kind of process', { timeout: 200_000 }, async (context) => {
  const parcels = scene.parcels(victims.length * perVictim);
  const deaths: Promise<void>[] = [];
  const counts = await sendParcels(parcels, {
    sessions: 6,
    withinMs: 90_000,
    onAcknowledged(count) {
      const victim = victims[Math.floor(count / perVictim)];
      if (victim && count % perVictim === perVictim / 2) deaths.push(scene.kill(victim));
    },
  });
  await Promise.all(deaths);
  assert.equal(deaths.length, victims.length);
  const duplicates = await scene.judge(parcels, 90_000);
  context.diagnostic(JSON.stringify({ ...counts, duplicates }));
});
