// The egress behind the real queue: what becomes of many deliveries, of dead next hops, of forged jobs, of a process that goes away.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Consumer, DeliveryJob } from '@sealpost/core';
import { connectRedis, deliveryStage, type RedisLink, redisQuarantine, type Stage } from '@sealpost/queue';
import { type ManualClock, type RedisServer, startRedis, startSmtpSink } from '@sealpost/testkit';
import { type Rig, type RigOptions, rig } from './rig.ts';

const liveClock: ManualClock = { now: () => new Date(), advance: () => {}, set: () => {} };
const queue = { maxAgeHours: 120, quarantine: { days: 30, maxMessages: 1000, maxBytes: 1e9 } };

let server: RedisServer;
let redis: RedisLink;
before(async () => {
  server = await startRedis();
  redis = await connectRedis({ host: server.host, port: server.port, acceptRisks: [] }, { event: () => {} });
});
after(async () => {
  await redis.close();
  await server.stop();
});

interface Live extends AsyncDisposable {
  readonly egress: Rig;
  readonly stage: Stage<DeliveryJob>;
  consume(concurrency?: number): Consumer;
  /** Posts and publishes. */
  put(count: number, mailing?: Parameters<Rig['post']>[0]): Promise<DeliveryJob[]>;
}

async function live(options: RigOptions): Promise<Live> {
  await redis.client.flushall();
  const stage = deliveryStage(redis);
  const publisher = stage.publisher();
  const egress = rig({ ...options, publisher, clock: liveClock });
  const consumers: Consumer[] = [];
  const timing = { lockMs: 1_000, stalledCheckMs: 200, reconcileMs: 500 };
  return {
    egress,
    stage,
    consume(concurrency = 16) {
      const { blobs, log } = egress;
      const consumer = stage.consume(egress.run, { concurrency, queue, blobs, log, clock: liveClock, timing });
      consumers.push(consumer);
      return consumer;
    },
    async put(count, mailing) {
      const jobs = await Promise.all(Array.from({ length: count }, () => egress.post(mailing)));
      await publisher.publish(jobs);
      return jobs;
    },
    async [Symbol.asyncDispose]() {
      for (const hop of egress.hops) hop.destroy();
      await Promise.all(consumers.map((consumer) => consumer.close(1_000)));
      await publisher.close();
    },
  };
}

async function until(isSo: () => boolean | Promise<boolean>, timeoutMs = 30_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await isSo())) {
    assert.ok(performance.now() < deadline, 'it did not come to that');
    await sleep(20);
  }
}

const jobsLeft = async ({ stage }: Live): Promise<number> => {
  const { waiting, active, delayed } = await stage.status(new Date());
  return waiting + active + delayed;
};

test('many deliveries through a narrow route: each arrives once, waiting spends no attempt', async () => {
  await using sink = await startSmtpSink({ reply: async ({ stage }) => (stage === 'message' ? sleep(2) : undefined) });
  await using gateway = await live({ routes: [{ nextHop: sink, connections: 2 }], share: 4 });
  await gateway.put(60);
  gateway.consume(24);
  await until(async () => (await jobsLeft(gateway)) === 0);
  assert.equal(sink.transactions.length, 60);
  assert.ok(sink.sessions <= 4);
  const deferred = gateway.egress.events.filter(({ name }) => name === 'delivery.deferred');
  assert.equal(deferred.length, 0);
});

test('a dead next hop holds up nobody else, and its mail arrives when it is back', async () => {
  await using alive = await startSmtpSink();
  const dead = await startSmtpSink();
  await dead.close();
  await using gateway = await live({
    routes: [
      { name: 'dead', domains: ['dead.test'], nextHop: dead },
      { name: 'alive', nextHop: alive },
    ],
  });
  await gateway.put(60, { envelope: { recipients: [{ address: 'a@dead.test' }] } });
  await gateway.put(60);
  gateway.consume();
  await until(() => alive.transactions.length === 60);
  await using back = await startSmtpSink({ port: dead.port });
  await until(() => back.transactions.length === 60);
  await until(async () => (await jobsLeft(gateway)) === 0);
});

test('a next hop that hangs holds its own places and no others', async () => {
  await using hanging = await startSmtpSink({
    reply: async ({ stage }) => (stage === 'mail' ? sleep(60_000, undefined, { ref: false }) : undefined),
  });
  await using alive = await startSmtpSink();
  await using gateway = await live({
    routes: [
      { name: 'hanging', domains: ['hanging.test'], nextHop: hanging, connections: 2 },
      { name: 'alive', nextHop: alive },
    ],
    share: 4,
  });
  await gateway.put(40, { envelope: { recipients: [{ address: 'a@hanging.test' }] } });
  await gateway.put(40);
  gateway.consume(8);
  await until(() => alive.transactions.length === 40);
  assert.ok(hanging.open <= 2);
});

test('a report travels through the queue to the sender', async () => {
  await using world = await startSmtpSink({ reply: ({ stage }) => (stage === 'rcpt' ? '550 5.1.1 No' : undefined) });
  await using office = await startSmtpSink();
  await using gateway = await live({
    routes: [
      { name: 'world', direction: 'outbound', nextHop: world },
      { name: 'office', direction: 'inbound', nextHop: office },
    ],
  });
  await gateway.put(1);
  gateway.consume();
  const [report] = await office.waitFor(1);
  assert.equal(report?.mailFrom, '');
  assert.match(report?.message.toString() ?? '', /Final-Recipient: rfc822; bob@beta\.test/);
  await until(async () => (await jobsLeft(gateway)) === 0);
});

test('forged, redirected and swapped deliveries end in quarantine with an alert, and none is sent', async () => {
  await using sink = await startSmtpSink();
  await using gateway = await live({ routes: [{ nextHop: sink }] });
  const { egress } = gateway;
  const evil = await egress.post({ envelope: { recipients: [{ address: 'eve@evil.test' }] } });
  const [swapped, redirected, cut, gone] = await Promise.all(Array.from({ length: 4 }, () => egress.post()));
  assert.ok(swapped && redirected && cut && gone);
  await egress.blobs.put(swapped.id, (await egress.blobs.get(evil.id)) ?? Buffer.alloc(0));
  await egress.blobs.put(cut.id, (await egress.blobs.get(cut.id))?.subarray(0, -20) ?? Buffer.alloc(0));
  await egress.blobs.remove(gone.id);
  const publisher = gateway.stage.publisher();
  await publisher.publish([swapped, { ...redirected, ticket: evil.ticket }, cut, gone]);
  gateway.consume();
  const quarantine = redisQuarantine(redis, egress.blobs);
  await until(async () => (await quarantine.list(10)).length === 4);
  const entries = new Map((await quarantine.list(10)).map(({ id, code }) => [id, code]));
  assert.deepEqual(
    [swapped, redirected, cut, gone].map(({ id }) => entries.get(id)),
    ['blob-mismatch', 'ticket-invalid', 'blob-mismatch', 'blob-missing'],
  );
  assert.equal(egress.events.filter(({ name }) => name === 'alert.authenticity').length, 4);
  assert.equal(sink.transactions.length, 0);
  await publisher.close();
});

test('a report that nobody takes is set aside; put back, it goes out', async () => {
  let refuses = true;
  await using sink = await startSmtpSink({
    reply: ({ stage }) => (stage === 'rcpt' && refuses ? '550 5.1.1 No' : undefined),
  });
  await using gateway = await live({ routes: [{ nextHop: sink }] });
  const [job] = await gateway.put(1, { envelope: { mailFrom: '' } });
  gateway.consume();
  const quarantine = redisQuarantine(redis, gateway.egress.blobs);
  await until(async () => (await quarantine.list(10)).length === 1);
  assert.equal((await quarantine.list(10))[0]?.code, 'bounce-undeliverable');
  refuses = false;
  assert.equal(await quarantine.requeue(job?.id ?? ''), true);
  await sink.waitFor(1);
  await until(async () => (await jobsLeft(gateway)) === 0);
});

test('a process that goes away after the next hop took the mail: sent again, and counted', async () => {
  let first = true;
  await using sink = await startSmtpSink({
    reply: async ({ stage }) => {
      if (stage !== 'message' || !first) return undefined;
      first = false;
      await sleep(1_500);
      return undefined;
    },
  });
  await using gateway = await live({ routes: [{ nextHop: sink }] });
  await gateway.put(1);
  const leaving = gateway.consume();
  await until(() => !first);
  await leaving.close(0);
  gateway.consume();
  await sink.waitFor(2, 15_000);
  await until(async () => (await jobsLeft(gateway)) === 0);
  assert.equal(gateway.egress.counts.get('sealpost_possible_duplicates_total{"route":"all"}'), 1);
});
