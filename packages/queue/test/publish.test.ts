// Publishing: what was acknowledged is there whatever dies, and a server that is away or full is told in bounded time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cryptoStage, deliveryStage, redisBlobs } from '../src/index.ts';
import { linkTo, redisServer, until } from './fixtures.ts';
import { cryptoJobs, deliveryJobs } from './stage.contract.ts';

test('every job and blob that was acknowledged survives a SIGKILL of the server that comes at once', async () => {
  await using stack = new AsyncDisposableStack();
  const server = await redisServer(stack);
  const link = await linkTo(stack, server);
  const [publisher, blobs] = [cryptoStage(link).publisher(), redisBlobs(link)];
  const acknowledged: string[] = [];
  const sending = Array.from({ length: 20 }, async () => {
    for (;;) {
      const job = cryptoJobs.make();
      try {
        await blobs.put(job.id, Buffer.alloc(2_000, job.id));
        await publisher.publish([job]);
      } catch {
        return;
      }
      acknowledged.push(job.id);
      if (acknowledged.length === 300) await server.kill();
    }
  });
  await Promise.all(sending);
  assert.ok(acknowledged.length >= 300);
  await server.start();

  const again = await linkTo(stack, server);
  const after = cryptoStage(again).publisher();
  for (const id of acknowledged) {
    assert.equal(await after.has(id), true, id);
    assert.deepEqual(await redisBlobs(again).get(id), Buffer.alloc(2_000, id));
  }
});

test('while the server is away publishing fails at once, and works again with the same publisher when it is back', async () => {
  await using stack = new AsyncDisposableStack();
  const server = await redisServer(stack);
  const publisher = cryptoStage(await linkTo(stack, server)).publisher();
  const job = cryptoJobs.make();
  await publisher.publish([job]);
  await server.kill();
  for (let turn = 0; turn < 3; turn += 1) {
    const before = performance.now();
    await assert.rejects(publisher.publish([cryptoJobs.make()]), { code: 'queue-unavailable' });
    assert.ok(performance.now() - before < 3_000);
  }
  await assert.rejects(publisher.has(job.id), { code: 'queue-unavailable' });
  await server.start();
  const next = cryptoJobs.make();
  await until(() => succeeds(() => publisher.publish([next])), 5_000);
  assert.equal(await publisher.has(next.id), true);
  assert.equal(await publisher.has(job.id), true);
});

test('a server that hangs is given up after its time', async () => {
  await using stack = new AsyncDisposableStack();
  const server = await redisServer(stack);
  const publisher = cryptoStage(await linkTo(stack, server)).publisher();
  await publisher.publish([cryptoJobs.make()]);
  server.pause();
  const before = performance.now();
  await assert.rejects(publisher.publish([cryptoJobs.make()]), { code: 'queue-unavailable' });
  assert.ok(performance.now() - before < 8_000);
  server.resume();
});

test('above 70 % of maxmemory new mail is refused, while accepted mail still moves on', async () => {
  await using stack = new AsyncDisposableStack();
  const server = await redisServer(stack, { maxmemory: '20mb' });
  const link = await linkTo(stack, server);
  const [crypto, delivery] = [cryptoStage(link).publisher(), deliveryStage(link).publisher()];
  await crypto.publish([cryptoJobs.make()]);
  const ballast = Array.from({ length: 15 }, (_, index) => `ballast-${index}`);
  for (const key of ballast) await link.client.set(key, Buffer.alloc(1_000_000, 1));
  await new Promise((resolve) => setTimeout(resolve, 300));
  await assert.rejects(crypto.publish([cryptoJobs.make()]), { code: 'queue-full' });
  await delivery.publish([deliveryJobs.make()]);
  await link.client.del(ballast);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await crypto.publish([cryptoJobs.make()]);
});

async function succeeds(work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch {
    return false;
  }
}
