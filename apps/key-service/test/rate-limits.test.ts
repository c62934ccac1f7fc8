// Bounds on what a client may send: how often, and how deeply nested.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isShallow } from '../src/json-depth.ts';
import { openRateLimits } from '../src/rate-limits.ts';

const at = (ms: number): Date => new Date(1_800_000_000_000 + ms);

test('a client that asks more often than it may is refused, alone, until time has passed', () => {
  const rates = openRateLimits();
  const taken = (client: string, kind: 'service' | 'person', count: number, ms: number): number =>
    Array.from({ length: count }, () => rates.take(client, kind, at(ms))).filter(Boolean).length;
  assert.equal(taken('a', 'person', 1_500, 0), 1_000);
  assert.equal(taken('b', 'person', 10, 0), 10);
  assert.equal(taken('w', 'service', 12_000, 0), 10_000);
  assert.equal(taken('a', 'person', 500, 1_000), 100);
  assert.equal(taken('a', 'person', 1, -60_000), 0, 'a clock that was set back gives nothing');
  assert.equal(taken('a', 'person', 2_000, 3_600_000), 1_000, 'no more is saved up than one burst');
});

test('what is nested more deeply than any operation takes is found, and brackets in text are not nesting', () => {
  const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
  assert.equal(isShallow(nested(24)), true);
  assert.equal(isShallow(nested(25)), false);
  assert.equal(isShallow(`{"a":`.repeat(100_000)), false);
  assert.equal(isShallow(JSON.stringify({ text: '["\\'.repeat(10_000) })), true);
  assert.equal(isShallow(JSON.stringify(Array.from({ length: 500 }, () => ({ a: [] })))), true);
  assert.equal(isShallow(`"${'['.repeat(100)}" ${nested(30)}`), false);
});
