// Alerts about mail: each fault is caused on a running gateway, its alert fires, what its runbook says is done, and it ends.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connectRedis } from '@sealpost/queue';
import { configOf, logged, pause, reconfigure, resume, until } from '../e2e/operating.ts';
import { startWatched, type Watched, where } from './watched.ts';

const carol = 'carol@nowhere.test';
let isDown = false;
let watched: Watched;

before(async () => {
  if (where.skip) return;
  watched = await startWatched(({ stage, address }) => {
    if (isDown && stage === 'connect') return 'drop';
    return stage === 'rcpt' && address?.startsWith('never') ? '550 5.1.1 Unknown' : undefined;
  });
});

after(() => watched?.[Symbol.asyncDispose]());

interface Stage {
  readonly stage: string;
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
}

async function statusOf(name: string): Promise<Stage> {
  const stages = (await watched.gateway.cli('queue', 'status')) as Stage[];
  const found = stages.find(({ stage }) => stage === name);
  assert.ok(found);
  return found;
}

test('SealpostProcessDown, SealpostMailLate, SealpostStageStandsStill: the workers stand still', where, async () => {
  const { gateway, send, fires, ends } = watched;
  const alerts = ['SealpostProcessDown', 'SealpostMailLate', 'SealpostStageStandsStill'];
  pause(gateway, 'worker');
  try {
    await send(carol);
    await fires(...alerts);
    const { waiting, active } = await statusOf('crypto');
    assert.equal(waiting + active, 1);
  } finally {
    resume(gateway, 'worker');
  }
  await ends(...alerts);
});

test('SealpostDeliveryLate, SealpostNextHopDown: the next hop hangs up', where, async () => {
  const { gateway, send, isFiring, fires, ends } = watched;
  isDown = true;
  // As mail comes in, tries go on; one message alone waits longer each time.
  await until('SealpostNextHopDown fires', async () => {
    await send(carol);
    return (await isFiring('SealpostNextHopDown')) || undefined;
  });
  await fires('SealpostDeliveryLate');
  assert.ok((await statusOf('delivery')).delayed > 0);
  const isSaid = logged(gateway).some(
    ({ event, code }) => event === 'delivery.deferred' && code === 'next-hop-unavailable',
  );
  assert.ok(isSaid);
  isDown = false;
  await ends('SealpostDeliveryLate', 'SealpostNextHopDown');
});

test('SealpostBounceRate: the next hop refuses most recipients', where, async () => {
  const { gateway, send, fires, ends } = watched;
  await send(...Array.from({ length: 30 }, (_, at) => `never${at}@nowhere.test`));
  await fires('SealpostBounceRate');
  assert.ok(logged(gateway).some(({ event, code }) => event === 'delivery.bounced' && code === 'next-hop-refused'));
  await ends('SealpostBounceRate');
});

test('SealpostRedisMemory, SealpostRedisNotPersisting: settings of Redis are changed', where, async () => {
  const { gateway, send, fires, ends } = watched;
  const link = await connectRedis(configOf(gateway).redis, { event: () => undefined });
  const set = (name: string, value: string) => link.client.config('SET', name, value);
  try {
    await set('maxmemory', '1mb');
    await fires('SealpostRedisMemory');
    await assert.rejects(send(carol), /452 4\.3\.1 The queue is full/);
    await set('maxmemory', '1gb');
    await ends('SealpostRedisMemory');
    await send(carol);
    await set('appendonly', 'no');
    await fires('SealpostRedisNotPersisting');
    await set('appendonly', 'yes');
    await ends('SealpostRedisNotPersisting');
  } finally {
    await link.close();
  }
});

test(
  'SealpostAuthenticity, SealpostQuarantineFull: jobs are forged, and the quarantine has place for one',
  where,
  async () => {
    const { gateway, send, fires, ends } = watched;
    const limit = (maxMessages: number) =>
      reconfigure(
        gateway,
        ({ queue, ...config }) => ({
          ...config,
          queue: { ...queue, quarantine: { ...queue.quarantine, maxMessages } },
        }),
        'worker',
      );
    const usual = configOf(gateway).queue.quarantine.maxMessages;
    const link = await connectRedis(configOf(gateway).redis, { event: () => undefined });
    await limit(1);
    pause(gateway, 'worker');
    try {
      await send(carol);
      await send(carol);
      for (const id of await link.client.lrange('{sealpost}:crypto:wait', 0, -1)) {
        const key = `{sealpost}:crypto:${id}`;
        const data = JSON.parse((await link.client.hget(key, 'data')) ?? '');
        await link.client.hset(key, 'data', JSON.stringify({ ...data, ticket: `${data.ticket.slice(0, -8)}AAAAAAAA` }));
      }
    } finally {
      resume(gateway, 'worker');
      await link.close();
    }
    await fires('SealpostAuthenticity', 'SealpostQuarantineFull');
    const setAside = async () => (await gateway.cli('queue', 'list')) as { code: string }[];
    assert.deepEqual(
      (await setAside()).map(({ code }) => code),
      ['ticket-invalid'],
    );
    await limit(usual);
    await until('the other one is set aside, too', async () => (await setAside()).length === 2 || undefined);
    await ends('SealpostAuthenticity', 'SealpostQuarantineFull');
  },
);
