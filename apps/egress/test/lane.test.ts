import assert from 'node:assert/strict';
import { test } from 'node:test';
import { manualClock } from '@sealpost/testkit';
import { type Admission, type Lane, lane } from '../src/lane.ts';

const limits = { connections: 2, share: 16, bytesInFlight: 1000 };

function newLane(clock = manualClock()) {
  return { clock, ...lane(limits, clock, () => 1) };
}

/** So many deliveries of this time went before. */
async function past({ enter, leave }: Lane, count: number, tookMs: number): Promise<void> {
  for (let at = 0; at < count; at++) {
    await enter(1);
    leave(1, tookMs);
  }
}

/** Whether an admission was decided already. */
async function decided(admission: Promise<Admission>): Promise<Admission | undefined> {
  return Promise.race([admission, new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined)))]);
}

/** How long from now each of so many has to stay away. */
async function turnsOf({ enter, clock }: ReturnType<typeof newLane>, count: number): Promise<number[]> {
  const turns: number[] = [];
  for (let at = 0; at < count; at++) {
    const admission = await enter(1);
    assert.equal(admission.kind, 'later');
    turns.push(admission.kind === 'later' ? admission.at.getTime() - clock.now().getTime() : 0);
  }
  return turns;
}

test('so many connections at a time; others wait their turn in memory where that is short', async () => {
  const { enter, leave } = newLane();
  assert.equal((await enter(10)).kind, 'enter');
  assert.equal((await enter(10)).kind, 'enter');
  const waiting = [enter(10), enter(10)];
  assert.deepEqual(await Promise.all(waiting.map(decided)), [undefined, undefined]);
  leave(10, 5);
  assert.deepEqual(await Promise.all(waiting.map(decided)), [{ kind: 'enter' }, undefined]);
  leave(10, 5);
  assert.deepEqual(await waiting[1], { kind: 'enter' });
});

test('on a slow route nobody waits in memory, and on one that hangs nobody waits long', async () => {
  const slow = newLane();
  await past(slow, 1, 1000);
  await slow.enter(1);
  await slow.enter(1);
  assert.equal((await slow.enter(1)).kind, 'later');

  const hanging = newLane();
  await hanging.enter(1);
  await hanging.enter(1);
  const waiting = Array.from({ length: 20 }, () => hanging.enter(1));
  assert.equal(hanging.bytesHeld(), 22);
  for (const admission of await Promise.all(waiting)) assert.equal(admission.kind, 'later');
  assert.equal((await hanging.enter(1)).kind, 'later');
  assert.equal(hanging.bytesHeld(), 2);
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

test('no route has more under way than its share of the process', async () => {
  const { enter } = lane({ connections: 50, share: 2, bytesInFlight: 1000 }, manualClock(), () => 1);
  await enter(1);
  await enter(1);
  assert.equal(await decided(enter(1)), undefined);
});

test('turns are given out at the speed of the route, not all at once, and not for ever', async () => {
  const route = newLane();
  await past(route, 50, 1000);
  await route.enter(1);
  await route.enter(1);
  const turns = await turnsOf(route, 300);
  assert.deepEqual(turns.slice(0, 3), [50, 300, 550]);
  assert.equal(turns.at(-1), 60_050);
});

test('as long as few deliveries were timed, turns come soon', async () => {
  const route = newLane();
  await past(route, 1, 100_000);
  await route.enter(1);
  await route.enter(1);
  assert.ok((await turnsOf(route, 100)).every((turn) => turn <= 550));
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
    for (; (await enter(1)).kind === 'later'; restMs += 1000) clock.advance(1000);
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
  const route = newLane();
  await route.enter(1);
  route.failed();
  route.leave(1, 1);
  const turns = await turnsOf(route, 1000);
  assert.deepEqual([turns[0], turns[1], turns[999]], [1050, 1055, 1050 + 999 * 5]);
  route.clock.advance(1000);
  await route.enter(1000);
  route.reached();
  assert.deepEqual(await turnsOf(route, 1), [50]);
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
