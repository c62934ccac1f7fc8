// Who waits, by route and domain: the oldest first, bounded by what is asked for whatever domains mail brings, forgotten in time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deliveryId, newMessageId } from '@sealpost/core';
import { manualClock } from '@sealpost/testkit';
import { type Waiter, waiting } from '../src/waiting.ts';

const { now } = manualClock();
const minuteMs = 60_000;
const ago = (minutes: number): Date => new Date(now().getTime() - minutes * minuteMs);
const later = (minutes: number): Date => ago(-minutes);
const newId = () => deliveryId(newMessageId(now()), 'g0');
const to = (domain: string, route = 'world'): Waiter => ({ route, domain });

test('the longest waits are shown, and the rest together', () => {
  const line = waiting();
  line.note(newId(), ago(5), later(1), [to('five.test'), to('five.test'), to('inside.test', 'internal')]);
  line.note(newId(), ago(90), later(1), [to('ninety.test')]);
  line.note(newId(), ago(30), later(1), [to('five.test')]);
  line.note(newId(), ago(1), later(1), [to('one.test')]);
  assert.deepEqual(line.byDomain(now(), 2), [
    { name: 'ninety.test', recipients: 1, since: ago(90) },
    { name: 'five.test', recipients: 3, since: ago(30) },
    { name: 'other', recipients: 2, since: ago(5) },
  ]);
  assert.deepEqual(line.byRoute(now()), [
    { name: 'world', recipients: 5, since: ago(90) },
    { name: 'internal', recipients: 1, since: ago(5) },
  ]);
});

test('what is done, or was due long ago and is another process’s by now, is forgotten', () => {
  const line = waiting();
  const id = newId();
  line.note(id, ago(5), later(1), [to('a.test'), to('b.test')]);
  line.note(id, ago(5), later(1), [to('b.test')]);
  assert.deepEqual(line.byDomain(now(), 9), [{ name: 'b.test', recipients: 1, since: ago(5) }]);
  line.note(id, ago(5), now(), []);
  assert.deepEqual(line.byDomain(now(), 9), []);
  line.note(newId(), ago(5), later(1), [to('a.test')]);
  assert.equal(line.byDomain(later(2), 9).length, 1);
  assert.equal(line.byDomain(later(4), 9).length, 0);
});

test('ten thousand domains make no more lines than asked for, and push out none that waits longer', () => {
  const line = waiting();
  line.note(newId(), ago(60), later(1), [to('real.test')]);
  for (let count = 0; count < 10_000; count++) line.note(newId(), ago(2), later(1), [to(`d${count}.evil.test`)]);
  const lines = line.byDomain(now(), 20);
  assert.equal(lines.length, 21);
  assert.equal(lines[0]?.name, 'real.test');
  assert.deepEqual(lines.at(-1), { name: 'other', recipients: 10_001 - 20, since: ago(2) });
  assert.deepEqual(line.byDomain(now(), 20), lines, 'the same ones each time');
});

test('memory is bounded: of more recipients than it remembers, new ones are left out', () => {
  const line = waiting();
  const many = Array.from({ length: 1_000 }, (_, count) => to(`d${count}.test`));
  for (let count = 0; count < 60; count++) line.note(newId(), ago(2), later(1), many);
  assert.deepEqual(
    line.byRoute(now()).map(({ recipients }) => recipients),
    [50_000],
  );
  assert.equal(line.byRoute(later(9)).length, 0);
  line.note(newId(), ago(2), later(20), many);
  assert.equal(line.byRoute(later(9))[0]?.recipients, 1_000);
});

test('what is no domain name is never a label', () => {
  const line = waiting();
  const odd = [
    '',
    'other',
    'localhost',
    '[192.0.2.1]',
    'a".test',
    'a\n.test',
    'müller.test',
    `${'a.'.repeat(200)}test`,
  ];
  line.note(
    newId(),
    ago(1),
    later(1),
    odd.map((domain) => to(domain)),
  );
  assert.deepEqual(line.byDomain(now(), 20), [{ name: 'other', recipients: odd.length, since: ago(1) }]);
});
