// A claim asks the server only when it cannot know, and believes a lock no longer than a part of its life.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { claimOf } from '../src/claim.ts';

/** A server whose answers are counted. */
function server(answers: boolean[]) {
  let asked = 0;
  return { renew: async () => answers[asked++] ?? false, asked: () => asked };
}

test('right after the fetch nobody is asked', async () => {
  const { renew, asked } = server([]);
  const isHeld = claimOf(Date.now(), 15_000, renew);
  assert.deepEqual([await isHeld(), await isHeld(), asked()], [true, true, 0]);
});

test('later the server is asked, and what it says holds for a moment; a lost job stays lost', async () => {
  const { renew, asked } = server([true, false, false]);
  const isHeld = claimOf(Date.now() - 60_000, 300, renew);
  assert.deepEqual([await isHeld(), await isHeld(), asked()], [true, true, 1]);
  await pause(40);
  assert.deepEqual([await isHeld(), await isHeld(), asked()], [false, false, 3]);
});

test('a clock that was put back or forward proves nothing', async () => {
  const { renew, asked } = server([true]);
  await claimOf(Date.now() + 60_000, 15_000, renew)();
  assert.equal(asked(), 1);
});
