// Sessions of the spool: shared by what is sealed within a moment, and gone after it.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { spoolSessions } from '../src/index.ts';

test('one key has one session at a time, and another after a second', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const sessions = spoolSessions();
  const [one, other] = [generateKeyPairSync('x25519').publicKey, generateKeyPairSync('x25519').publicKey];
  const first = sessions.of(one);
  assert.equal(sessions.of(one), first);
  assert.notEqual(sessions.of(other), first);
  context.mock.timers.tick(999);
  assert.equal(sessions.of(one), first);
  context.mock.timers.tick(1);
  const second = sessions.of(one);
  assert.notDeepEqual(second.encapsulated, first.encapsulated);
});

test('a session ends before its numbers do', () => {
  const sessions = spoolSessions();
  const key = generateKeyPairSync('x25519').publicKey;
  const first = sessions.of(key);
  first.count = 65_536;
  assert.notEqual(sessions.of(key), first);
});
