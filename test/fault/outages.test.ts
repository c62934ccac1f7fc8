// What the gateway leans on goes away for longer than anything that waits on it, and comes back: Redis, idle and under mail, gone
// and hung; the next hop under mail. Nothing acknowledged is lost, what cannot be kept is refused, and mail flows again by itself.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectSmtp, startSmtpSink } from '@sealpost/testkit';
import type { Ready } from '../e2e/installation.ts';
import { takePort } from './port-thief.ts';
import { type Scene, startScene } from './scene.ts';
import { sendParcels, untilArrived } from './traffic.ts';

const redisOutageMs = 25_000;
const nextHopOutageMs = 20_000;
/** Longest pause between two tries to connect and a worker's fetch, on a busy machine. */
const resumeMs = 15_000;
let scene: Scene;

before(async () => {
  scene = await startScene();
});
after(() => scene?.close());

test('idle: mail flows within seconds after Redis was gone for 25 s', { timeout: 120_000 }, async () => {
  const release = await takePort(scene.gateway.ready.redis.port, () => scene.kill('redis'));
  await sleep(redisOutageMs);
  await release();
  const parcels = scene.parcels(8);
  await sendParcels(parcels, { sessions: 2, withinMs: resumeMs });
  await scene.judge(parcels, resumeMs);
});

test('busy: nothing is lost, and clients hear 451 while Redis is gone for 25 s', {
  timeout: 150_000,
}, async (context) => {
  const parcels = scene.parcels(120);
  let release: Promise<() => Promise<void>> | undefined;
  const sending = sendParcels(parcels, {
    sessions: 4,
    withinMs: 90_000,
    onAcknowledged(count) {
      if (count === 40) release = takePort(scene.gateway.ready.redis.port, () => scene.kill('redis'));
    },
  });
  await sleep(redisOutageMs);
  assert.ok(release);
  await (await release)();
  const counts = await sending;
  assert.ok(counts.refused > 0);
  const duplicates = await scene.judge(parcels, 60_000);
  context.diagnostic(JSON.stringify({ ...counts, duplicates }));
});

test('busy: the same while Redis hangs with its connections open', { timeout: 150_000 }, async (context) => {
  const parcels = scene.parcels(80);
  const [pid] = redisPids();
  assert.ok(pid);
  let isHung = false;
  const sending = sendParcels(parcels, {
    sessions: 4,
    withinMs: 90_000,
    onAcknowledged(count) {
      if (count === 30) isHung = process.kill(pid, 'SIGSTOP');
    },
  });
  await sleep(redisOutageMs);
  process.kill(pid, 'SIGCONT');
  const counts = await sending;
  assert.ok(isHung && counts.refused > 0);
  const duplicates = await scene.judge(parcels, 60_000);
  context.diagnostic(JSON.stringify({ ...counts, duplicates }));
});

test('mail waits for a next hop that is away for 20 s and leaves when it is back', { timeout: 120_000 }, async () => {
  const { port } = scene.outside;
  await scene.outside.close();
  const parcels = scene.parcels(40);
  await sendParcels(parcels, { sessions: 4, withinMs: 30_000 });
  const inbound = parcels.filter(({ server }) => server === scene.gateway.ready.inbound);
  await untilArrived(inbound, [scene.inside], 20_000);
  await sleep(nextHopOutageMs);
  await using back = await startSmtpSink({ port });
  assert.equal(await untilArrived(parcels, [scene.inside, back], 90_000), 0);
  assert.deepEqual(await scene.gateway.cli('queue', 'list'), []);
  const client = await connectSmtp(scene.gateway.ready.outbound);
  assert.equal((await client.greet()).code, 250);
  client.end();
});

function redisPids(): readonly number[] {
  const pids: Ready['pids'] = JSON.parse(readFileSync(join(scene.gateway.directory, 'run/pids.json'), 'utf8'));
  return pids.redis;
}
