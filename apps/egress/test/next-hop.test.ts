import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startFlakyProxy, startSmtpSink } from '@sealpost/testkit';
import { rig } from './rig.ts';

async function until(isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!isSo() && performance.now() < deadline) await sleep(5);
  assert.ok(isSo());
}

test('sessions are kept for the next message, up to their number of messages', async () => {
  await using sink = await startSmtpSink();
  await using egress = rig({ routes: [{ nextHop: sink, messagesPerConnection: 3 }] });
  for (let at = 0; at < 7; at++) assert.equal((await egress.run(await egress.post())).kind, 'done');
  assert.equal(sink.sessions, 3);
  assert.deepEqual(
    sink.transactions.map(({ session }) => session),
    [1, 1, 1, 2, 2, 2, 3],
  );
});

test('a session is used again after a refusal, with nothing left of it', async () => {
  let refuses = true;
  await using sink = await startSmtpSink({
    reply: ({ stage }) => (stage === 'data' && refuses ? '451 4.3.0 Not now' : undefined),
  });
  await using egress = rig({ routes: [{ nextHop: sink }] });
  await egress.run(await egress.post());
  refuses = false;
  assert.equal((await egress.run(await egress.post())).kind, 'done');
  assert.equal(sink.sessions, 1);
});

test('no more sessions than the route may have, under load; who finds no place spends no attempt', async () => {
  let delayMs = 2;
  let most = 0;
  await using sink = await startSmtpSink({
    reply: async ({ stage }) => {
      most = Math.max(most, sink.open);
      if (stage === 'message') await sleep(delayMs);
      return undefined;
    },
  });
  await using egress = rig({ routes: [{ nextHop: sink, connections: 3 }] });
  const runMany = async () => {
    const jobs = await Promise.all(Array.from({ length: 20 }, () => egress.post()));
    return Promise.all(jobs.map((job) => egress.run(job)));
  };
  assert.ok((await runMany()).every(({ kind }) => kind === 'done'));
  delayMs = 700;
  const outcomes = await runMany();
  const later = outcomes.flatMap((outcome) => (outcome.kind === 'later' ? [outcome] : []));
  assert.equal(most, 3);
  assert.equal(later.length, 17);
  for (const { code, job } of later) {
    assert.equal(code, 'route-busy');
    assert.equal(job.attempts, 0);
  }
});

test('an idle session ends by itself, and one that the server ended is not used', async () => {
  await using sink = await startSmtpSink();
  await using proxy = await startFlakyProxy(sink);
  await using egress = rig({ routes: [{ nextHop: proxy, idleSeconds: 0.05 }] });
  await egress.run(await egress.post());
  assert.equal(egress.hops[0]?.connectionCount(), 1);
  await until(() => egress.hops[0]?.connectionCount() === 0 && sink.open === 0);

  await using patient = rig({ routes: [{ nextHop: proxy }] });
  await patient.run(await patient.post());
  proxy.cut();
  await until(() => patient.hops[0]?.connectionCount() === 0);
  assert.equal((await patient.run(await patient.post())).kind, 'done');
});

test('a kept session that died unnoticed costs no attempt: the mail goes over a new one', async () => {
  await using sink = await startSmtpSink({
    reply: ({ stage, session }) =>
      stage === 'mail' && session === 1 && sink.transactions.length > 0 ? 'drop' : undefined,
  });
  await using egress = rig({ routes: [{ nextHop: sink }] });
  await egress.run(await egress.post());
  assert.deepEqual(await egress.run(await egress.post()), { kind: 'done' });
  assert.deepEqual(
    sink.transactions.map(({ session }) => session),
    [1, 2],
  );
});

test('a dead next hop rests: its mail comes back without being tried, other routes go on', async () => {
  await using alive = await startSmtpSink();
  const dead = await startSmtpSink();
  await dead.close();
  await using egress = rig({
    routes: [
      { name: 'dead', domains: ['dead.test'], nextHop: dead },
      { name: 'alive', nextHop: alive },
    ],
  });
  const toDead = { envelope: { recipients: [{ address: 'a@dead.test' }] } };
  const first = await egress.run(await egress.post(toDead));
  assert.ok(first.kind === 'later');
  assert.equal(first.job.attempts, 1);
  const second = await egress.run(await egress.post(toDead));
  assert.ok(second.kind === 'later');
  assert.equal(second.code, 'next-hop-unavailable');
  assert.equal(second.job.attempts, 0);
  assert.ok(second.at > egress.clock.now());
  assert.equal(egress.hops[0]?.bytesHeld(), 0);
  assert.equal((await egress.run(await egress.post())).kind, 'done');
});

test('a mail whose time is over while its route rests is returned', async () => {
  const dead = await startSmtpSink();
  await dead.close();
  await using egress = rig({ routes: [{ nextHop: dead }] });
  const { outcome } = await egress.runToEnd(await egress.post());
  assert.deepEqual(outcome, { kind: 'done' });
  assert.equal(egress.events.filter(({ name }) => name === 'delivery.bounced').length, 1);
});

test('stopping gives up what is under way before its last byte', async () => {
  await using sink = await startSmtpSink({
    reply: async ({ stage }) => (stage === 'data' ? sleep(10_000, undefined, { ref: false }) : undefined),
  });
  await using egress = rig({ routes: [{ nextHop: sink }] });
  const running = egress.run(await egress.post());
  while (sink.open === 0) await sleep(5);
  for (const hop of egress.hops) hop.destroy();
  const outcome = await running;
  assert.equal(outcome.kind, 'later');
  assert.equal(sink.transactions.length, 0);
});
