// Shares of a secret: any `threshold` of them give it back, fewer tell nothing, and none that is not one of them is taken.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { codeOf } from '@sealpost/core';
import { combineShares, shareIndex, splitSecret } from '../src/seal/shamir.ts';

const isMalformed = (error: unknown): boolean => codeOf(error) === 'sealed-malformed';

/** Every choice of `size` of the items. */
function choices<T>(items: readonly T[], size: number): T[][] {
  if (size === 0) return [[]];
  return items.flatMap((item, at) => choices(items.slice(at + 1), size - 1).map((rest) => [item, ...rest]));
}

test('any three of five give the secret, in any order; two never do', async () => {
  const secret = randomBytes(32);
  const { shares, commitments } = await splitSecret(secret, 3, 5);
  assert.equal(new Set(commitments.map((each) => each.toString('hex'))).size, 5);
  for (const some of choices(shares, 3)) {
    assert.deepEqual(await combineShares(some), secret);
    assert.deepEqual(await combineShares(some.toReversed()), secret);
  }
  assert.deepEqual(await combineShares(shares), secret);
  for (const some of choices(shares, 2)) assert.notDeepEqual(await combineShares(some), secret);
});

test('a share is known by its commitment, and nothing else is', async () => {
  const { shares, commitments } = await splitSecret(randomBytes(32), 2, 3);
  const other = await splitSecret(randomBytes(32), 2, 3);
  for (const [at, share] of shares.entries()) assert.equal(shareIndex(share, commitments), at);
  const [first = Buffer.alloc(0)] = shares;
  for (let at = 0; at < first.length; at++) {
    const changed = Buffer.from(first);
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.equal(shareIndex(changed, commitments), undefined);
  }
  const wrong = [...other.shares, Buffer.alloc(0), first.subarray(1), Buffer.concat([first, first]), randomBytes(4096)];
  for (const share of wrong) assert.equal(shareIndex(share, commitments), undefined);
});

test('numbers that make no scheme are refused', async () => {
  const secret = randomBytes(32);
  for (const [threshold, count] of [
    [1, 3],
    [0, 0],
    [4, 3],
    [2, 17],
    [2.5, 5],
    [Number.NaN, 3],
    [-2, 3],
  ] as const) {
    await assert.rejects(splitSecret(secret, threshold, count), isMalformed);
  }
  await assert.rejects(splitSecret(secret.subarray(1), 2, 3), isMalformed);
  await assert.rejects(combineShares([]), isMalformed);
  const { shares } = await splitSecret(secret, 2, 3);
  await assert.rejects(combineShares(shares.slice(1, 2)), isMalformed);
  await assert.rejects(combineShares([...shares, Buffer.alloc(5)]), isMalformed);
});
