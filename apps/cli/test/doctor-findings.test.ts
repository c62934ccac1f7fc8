// What the doctor says of faults that a test cannot cause on the machine that it runs on.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { coreDumpFinding } from '../src/doctor/machine.ts';
import { clockFinding } from '../src/doctor/redis.ts';

test('core dumps matter where Linux does not keep memory out of them and the limit allows them', () => {
  assert.equal(coreDumpFinding({ keptOut: true, limit: 'unlimited' }).severity, 'ok');
  assert.equal(coreDumpFinding({ keptOut: false, limit: '0' }).severity, 'ok');
  assert.equal(coreDumpFinding({ keptOut: false }).severity, 'ok');
  assert.equal(coreDumpFinding({ keptOut: false, limit: 'unlimited' }).severity, 'warning');
});

test('a clock that is off by more than tickets bear is a fault, to either side', () => {
  assert.deepEqual(
    [4_000, 6_000, 3_600_000].map((skew) => clockFinding(skew).severity),
    ['ok', 'failed', 'failed'],
  );
  assert.match(clockFinding(3_600_000).text, /3600 s off/);
});
