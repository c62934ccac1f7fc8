// The cache of the key service's client, on a clock that the test moves.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf, fail } from '@sealpost/core';
import { keyCache } from '../src/key-cache.ts';

const isAway = (error: unknown): boolean => codeOf(error) === 'key-service-unavailable';

function setUp(max = 10) {
  let now = 0;
  let asked = 0;
  const cache = keyCache<number>(max, () => now);
  const load = (fresh: number, usable: number) => async () => {
    asked++;
    return { value: asked, freshUntil: now + fresh, usableUntil: now + usable };
  };
  return {
    cache,
    load,
    away: async () => {
      asked++;
      throw fail('key-service-unavailable');
    },
    to: (at: number) => {
      now = at;
    },
    asked: () => asked,
  };
}

test('a value is asked for once while it is fresh, and again after', async () => {
  const { cache, load, to, asked } = setUp();
  assert.equal(await cache.get('a', load(100, 1_000)), 1);
  to(99);
  assert.equal(await cache.get('a', load(100, 1_000)), 1);
  to(100);
  assert.equal(await cache.get('a', load(100, 1_000)), 2);
  assert.equal(asked(), 2);
});

test('those who ask at the same time share one question', async () => {
  const { cache, load, asked } = setUp();
  const values = await Promise.all(Array.from({ length: 50 }, () => cache.get('a', load(100, 100))));
  assert.deepEqual(new Set(values), new Set([1]));
  assert.equal(asked(), 1);
});

test('while the service is away the old value serves until it is too old, and the service is asked at intervals only', async () => {
  const { cache, load, away, to, asked } = setUp();
  await cache.get('a', load(100, 10_000));
  to(200);
  assert.equal(await cache.get('a', away), 1);
  assert.equal(await cache.get('a', away), 1);
  assert.equal(asked(), 2);
  to(5_000);
  assert.equal(await cache.get('a', away), 1);
  assert.equal(asked(), 3);
  to(10_000);
  await assert.rejects(cache.get('a', away), isAway);
});

test('a refusal is believed at once: what was remembered is dropped', async () => {
  const { cache, load, to, away } = setUp();
  await cache.get('a', load(100, 10_000));
  to(200);
  const denied = async () => {
    throw fail('key-denied');
  };
  await assert.rejects(cache.get('a', denied), (error) => codeOf(error) === 'key-denied');
  await assert.rejects(cache.get('a', away), isAway);
});

test('only so many are kept; the one that was longest not renewed goes first', async () => {
  const { cache, load, away } = setUp(2);
  await cache.get('a', load(100, 100));
  await cache.get('b', load(100, 100));
  await cache.get('c', load(100, 100));
  assert.equal(await cache.get('b', away), 2);
  assert.equal(await cache.get('c', away), 3);
  await assert.rejects(cache.get('a', away), isAway);
});

test('it tells how each question was answered', async () => {
  let now = 0;
  const told: string[] = [];
  const cache = keyCache<number>(
    10,
    () => now,
    (result) => told.push(result),
  );
  const load = async () => ({ value: 1, freshUntil: now + 100, usableUntil: now + 1_000 });
  const away = () => Promise.reject(fail('key-service-unavailable'));
  await cache.get('a', load);
  await cache.get('a', load);
  now = 100;
  await cache.get('a', away);
  await assert.rejects(cache.get('b', away), isAway);
  assert.deepEqual(told, ['miss', 'hit', 'stale', 'miss']);
});

test('what is dropped is asked for again, and what was on its way then is not kept', async () => {
  const { cache, load } = setUp();
  assert.equal(await cache.get('a', load(100, 1_000)), 1);
  assert.equal(await cache.get('b', load(100, 1_000)), 2);
  cache.drop('a');
  assert.equal(await cache.get('a', load(100, 1_000)), 3);
  assert.equal(await cache.get('b', load(100, 1_000)), 2);

  const gate = Promise.withResolvers<void>();
  const slow = cache.get('c', async () => {
    await gate.promise;
    return await load(100, 1_000)();
  });
  cache.drop();
  gate.resolve();
  assert.equal(await slow, 4);
  assert.equal(await cache.get('c', load(100, 1_000)), 5);
});

test('what is no longer usable is swept out, so that an outage does not find it', async () => {
  const { cache, load, away, to } = setUp();
  await cache.get('short', load(10, 100));
  await cache.get('long', load(10, 1_000));
  to(100);
  cache.sweep();
  await assert.rejects(cache.get('short', away), isAway);
  assert.equal(await cache.get('long', away), 2);
});
