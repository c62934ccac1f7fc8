// The life of keys: every step from every state against the table, in one transaction with its audit record; and the page shows
// the same table.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { codeOf, tenantId } from '@sealpost/core';
import { KeyFault, type KeyState, type KeyStep, keyStates, keyTransitions, stateAfter } from '@sealpost/service';
import { moveKey, self } from '../src/lifecycle/move-key.ts';
import type { OpenStore } from '../src/open-store.ts';
import type { StoredKey } from '../src/store/key-store.ts';
import { openedStore, withSecretOf } from './opened-store.ts';

const alpha = tenantId('alpha');
const states = Object.keys(keyStates) as KeyState[];
const steps = [...new Set(keyTransitions.map(({ step }) => step))];
const { privateKey } = generateKeyPairSync('ed25519');
const isState = (error: unknown): boolean => error instanceof KeyFault && error.code === 'key-state';

/** The shortest way to a state. */
const ways: Readonly<Record<KeyState, readonly KeyStep[]>> = {
  'pre-active': [],
  active: ['activate'],
  suspended: ['activate', 'suspend'],
  deactivated: ['activate', 'deactivate'],
  compromised: ['activate', 'compromise'],
  'destroy-pending': ['activate', 'deactivate', 'destroy'],
  destroyed: ['activate', 'deactivate', 'destroy', 'erase'],
  'destroyed-compromised': ['activate', 'compromise', 'destroy', 'erase'],
};

async function keyIn(state: KeyState, store: OpenStore): Promise<StoredKey> {
  let key = await store.keys.add({
    tenant: alpha,
    identity: 'a@a.test',
    use: 'signing',
    privateKey,
    state: 'pre-active',
  });
  for (const step of ways[state]) key = await moveKey(key, step, store, self);
  return key;
}

test('every step from every state does what the table says, and nothing else', async () => {
  await using opened = await openedStore();
  const store = opened.store();
  for (const state of states) {
    for (const step of steps) {
      const key = await keyIn(state, store);
      assert.equal(key.state, state);
      const expected = stateAfter(step, state, key.compromised || step === 'compromise');
      if (expected) assert.equal((await moveKey(key, step, store, self)).state, expected, `${step} from ${state}`);
      else await assert.rejects(moveKey(key, step, store, self), isState, `${step} from ${state}`);
      assert.equal((await store.keys.get(key.keyId))?.state, expected ?? state);
    }
  }
});

test('a secret opens in the states that open, and a destroyed one is nowhere in the store', async () => {
  await using opened = await openedStore();
  for (const state of states) {
    const { keyId } = await keyIn(state, opened.store());
    const used = withSecretOf(opened.store(), keyId, (secret) => secret.length > 0);
    if (keyStates[state].opens) assert.equal(await used, true, state);
    else await assert.rejects(used, (error) => codeOf(error) === 'key-denied', state);
  }
  const { wrapped } = await keyIn('deactivated', opened.store());
  const gone = await keyIn('destroyed', opened.store());
  assert.equal(gone.wrapped.length, 0);
  await opened.reopen();
  assert.equal((await opened.store().keys.get(gone.keyId))?.wrapped.length, 0);
  assert.ok(wrapped.length > 0);
});

test('two who take a step from the same state: one does, the other is told; and each step has one record', async () => {
  await using opened = await openedStore();
  const store = opened.store();
  const key = await keyIn('active', store);
  const before = (await opened.log()).length;
  await moveKey(key, 'suspend', store, { role: 'operator', name: 'first' });
  await assert.rejects(moveKey(key, 'deactivate', store, { role: 'operator', name: 'second' }), isState);
  const records = (await opened.log()).slice(before);
  assert.deepEqual(
    records.map(({ operation, actor, was, state, key: named }) => [operation, actor.name, was, state, named]),
    [['key-state', 'first', 'active', 'suspended', store.auditKey(key.keyId)]],
  );
});

test('a change and its record are one: a failed transaction leaves neither, and a restart before the log takes the record to it', async () => {
  await using opened = await openedStore();
  const key = await keyIn('active', opened.store());
  await opened.log();
  const count = (await opened.log()).length;
  await assert.rejects(
    opened.store().records.transaction(async () => {
      await moveKey(key, 'suspend', opened.store(), self);
      throw new Error('the disk is full');
    }),
  );
  assert.equal((await opened.store().keys.get(key.keyId))?.state, 'active');
  assert.equal((await opened.log()).length, count);
  await moveKey(key, 'suspend', opened.store(), self);
  await opened.reopen();
  assert.equal((await opened.store().keys.get(key.keyId))?.state, 'suspended');
  const failing = opened.store().outbox.flush(() => Promise.reject(new Error('no disk')));
  await assert.rejects(failing, /no disk/);
  assert.equal((await opened.log()).length, count + 1);
  assert.equal((await opened.log()).length, count + 1, 'and once');
});

test('a signing key that may not sign any more is called back from who holds it; one that opens still is not', async () => {
  await using opened = await openedStore();
  const store = opened.store();
  const holder = { client: 'c', name: 'w', instance: 'w1' };
  const called = async (use: 'signing' | 'decryption'): Promise<number> => {
    const key = await store.keys.add({ tenant: alpha, identity: 'b@a.test', use, privateKey });
    const now = store.now();
    store.leases.take({ ...holder, keyId: key.keyId, until: new Date(now.getTime() + 60_000) }, now);
    await moveKey(key, 'suspend', store, self);
    return store.leases.revocations.list(now).filter(({ keyId }) => keyId === key.keyId).length;
  };
  assert.deepEqual([await called('signing'), await called('decryption')], [1, 0]);
});

test('a key of an authority does not move, nor does the only active key that mail needs', async () => {
  await using opened = await openedStore();
  const store = opened.store();
  const ca = await store.keys.add({ tenant: alpha, identity: 'ca.internal', use: 'ca', privateKey });
  for (const step of steps) await assert.rejects(moveKey(ca, step, store, self), isState);
  const spool = () => store.keys.add({ tenant: alpha, identity: 'stage.crypto', use: 'spool', privateKey });
  const first = await spool();
  const isNeeded = (error: unknown): boolean => error instanceof KeyFault && error.code === 'key-needed';
  for (const step of ['suspend', 'deactivate', 'compromise'] as const) {
    await assert.rejects(moveKey(first, step, store, self), isNeeded, step);
  }
  await spool();
  assert.equal((await moveKey(first, 'deactivate', store, self)).state, 'deactivated');
});

test('docs/key-management.md shows these tables', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/key-management.md'), 'utf8');
  const yes = (may: boolean): string => (may ? 'yes' : '–');
  for (const [state, { signs, opens }] of Object.entries(keyStates)) {
    assert.ok(page.includes(`| \`${state}\` | ${yes(signs)} | ${yes(opens)} |`), state);
  }
  for (const { step, from, to, compromised } of keyTransitions) {
    const when = compromised === undefined ? '' : compromised ? ', compromised' : ', not compromised';
    const row = `| \`${step}\` | ${from.map((state) => `\`${state}\``).join(', ')}${when} | \`${to}\` |`;
    assert.ok(page.includes(row), row);
  }
});
