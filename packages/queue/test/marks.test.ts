// Marks: one contract for Redis and the memory twin.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Marks } from '@sealpost/core';
import { memoryMarks, redisMarks } from '../src/index.ts';
import { linkTo, redisServer } from './fixtures.ts';

const forms: readonly [string, (stack: AsyncDisposableStack) => Promise<Marks>][] = [
  ['redis', async (stack) => redisMarks(await linkTo(stack, await redisServer(stack)))],
  ['memory', async () => memoryMarks({ now: () => new Date() })],
];

for (const [form, open] of forms) {
  test(`${form}: a mark is there from when it is set until its life is over`, async () => {
    await using stack = new AsyncDisposableStack();
    const marks = await open(stack);
    assert.equal(await marks.has('published-m1'), false);
    await marks.set('published-m1', 300);
    assert.equal(await marks.has('published-m1'), true);
    assert.equal(await marks.has('published-m2'), false);
    await sleep(320);
    assert.equal(await marks.has('published-m1'), false);
  });

  test(`${form}: a name that could be another key is refused`, async () => {
    await using stack = new AsyncDisposableStack();
    const marks = await open(stack);
    for (const name of ['', 'a:b', 'a b', '{x}', 'a\n']) {
      await assert.rejects(async () => marks.set(name, 1_000), { code: 'id-invalid' });
      await assert.rejects(async () => marks.has(name), { code: 'id-invalid' });
    }
  });
}

test('a mark outlives the server', async () => {
  await using stack = new AsyncDisposableStack();
  const server = await redisServer(stack);
  await redisMarks(await linkTo(stack, server)).set('published-m1', 60_000);
  await server.kill();
  await server.start();
  assert.equal(await redisMarks(await linkTo(stack, server)).has('published-m1'), true);
});
