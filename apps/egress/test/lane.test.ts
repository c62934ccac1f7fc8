import assert from 'node:assert/strict';
import { test } from 'node:test';
import { manualClock } from '@sealpost/testkit';
import { type Admission, lane } from '../src/lane.ts';

const limits = { connections: 2, share: 4, bytesInFlight: 1000 };

function newLane(clock = manualClock()) {
  return { clock, ...lane(limits, clock, () => 1) };
}

/** Whether an admission was decided already. */
async function decided(admission: Promise<Admission>): Promise<Admission | undefined> {
  return Promise.race([admission, new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined)))]);
}

test('so many connections at a time, so many waiting in memory, the rest comes back later', async () => {
  const { enter, leave, clock } = newLane();
  assert.equal((await enter(10)).kind, 'enter');
  assert.equal((await enter(10)).kind, 'enter');
  const waiting = [enter(10), enter(10)];
  assert.deepEqual(await Promise.all(waiting.map(decided)), [undefined, undefined]);
  const late = await enter(10);
  assert.ok(late.kind === 'later' && !late.resting && late.at > clock.now());
  leave(10, 100);
  assert.deepEqual(await Promise.all(waiting.map(decided)), [{ kind: 'enter' }, undefined]);
  leave(10, 100);
  assert.deepEqual(await waiting[1], { kind: 'enter' });
});

test('bytes are held for those who wait too; a message above the allowance passes alone', async () => {
  const { enter, leave, bytesHeld } = newLane();
  assert.equal((await enter(5000)).kind, 'enter');
  assert.equal((await enter(1)).kind, 'later');
  leave(5000, 1);
  assert.equal((await enter(900)).kind, 'enter');
  assert.equal((await enter(200)).kind, 'later');
  assert.equal((await enter(100)).kind, 'enter');
  assert.equal(bytesHeld(), 1000);
});

test('turns are given out at the speed of the route, not all at once, and not for ever', async () => {
  const { enter, leave, clock } = newLane();
  for (let at = 0; at < 50; at++) {
    await enter(1);
    leave(1, 1000);
  }
  await enter(500);
  await enter(500);
  const turns = [];
  for (let at = 0; at < 200; at++) {
    const admission = await enter(1);
    assert.ok(admission.kind === 'later');
    turns.push(admission.at.getTime() - clock.now().getTime());
  }
  assert.deepEqual(turns.slice(0, 3), [50, 300, 550]);
  assert.equal(turns.at(-1), 49_800);
});

test('as long as few deliveries were timed, turns come soon', async () => {
  const { enter, leave, clock } = newLane();
  await enter(1000);
  leave(1000, 100_000);
  await enter(1000);
  for (let at = 0; at < 100; at++) {
    const admission = await enter(1);
    assert.ok(admission.kind === 'later' && admission.at.getTime() - clock.now().getTime() <= 550);
  }
});

test('an unreachable next hop rests, longer each time; then one tries before the others follow', async () => {
  const { enter, leave, failed, reached, clock } = newLane();
  const rests: number[] = [];
  for (let at = 0; at < 8; at++) {
    assert.equal((await enter(1)).kind, 'enter');
    failed();
    failed();
    leave(1, 10);
    const admission = await enter(1);
    assert.ok(admission.kind === 'later' && admission.resting);
    let restMs = 0;
    for (; ; restMs += 1000) {
      const probe = await enter(1);
      if (probe.kind === 'enter') break;
      clock.advance(1000);
    }
    rests.push(restMs / 1000);
    leave(1, 10);
  }
  assert.deepEqual(rests, [1, 2, 4, 8, 16, 32, 60, 60]);
  assert.equal((await enter(1)).kind, 'enter');
  const second = enter(1);
  assert.equal(await decided(second), undefined);
  reached();
  assert.deepEqual(await second, { kind: 'enter' });
});

test('the mail of a resting route comes back in a line, and that line is forgotten when the next hop is back', async () => {
  const { enter, leave, failed, reached, clock } = newLane();
  await enter(1);
  failed();
  leave(1, 1);
  const turns: number[] = [];
  for (let at = 0; at < 1000; at++) {
    const admission = await enter(1);
    turns.push(admission.kind === 'later' ? admission.at.getTime() - clock.now().getTime() : 0);
  }
  assert.deepEqual([turns[0], turns[1], turns[999]], [1050, 1055, 1050 + 999 * 5]);
  clock.advance(1000);
  await enter(999);
  reached();
  const next = await enter(999);
  assert.ok(next.kind === 'later' && next.at.getTime() - clock.now().getTime() === 50);
});

test('who waits for a next hop that turns out to be away is sent back at once', async () => {
  const { enter, leave, failed, bytesHeld } = newLane();
  await enter(10);
  await enter(10);
  const waiting = enter(10);
  failed();
  assert.equal((await waiting).kind, 'later');
  leave(10, 1);
  leave(10, 1);
  assert.equal(bytesHeld(), 0);
});
