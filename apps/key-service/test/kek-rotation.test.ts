// KEKs rotate while the service works: nothing is lost at any moment of it, also not by SIGKILL at any commit, and the version
// before is gone at the end.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { type KeyUse, tenantId } from '@sealpost/core';
import { KeyFault } from '@sealpost/service';
import { self } from '../src/lifecycle/move-key.ts';
import type { OpenStore } from '../src/open-store.ts';
import { kekUses } from '../src/vault/keks.ts';
import { privateKeyOf, publicHalf } from '../src/vault/wrap-key.ts';
import { type OpenedStore, openedStore } from './opened-store.ts';

const alpha = tenantId('alpha');
/** Every start compiles the same files; Node may keep what it made of them. */
const env = {
  ...process.env,
  NODE_COMPILE_CACHE: join(import.meta.dirname, '../../../node_modules/.cache/node-compile'),
};
/** More than one batch. */
const keys = 80;
const pair: KeyObject = generateKeyPairSync('ed25519').privateKey;
const spki = createPublicKey(pair).export({ format: 'der', type: 'spki' });

async function add(store: OpenStore, use: KeyUse, count: number): Promise<void> {
  await store.records.transaction(async () => {
    for (let at = 0; at < count; at++) {
      await store.keys.add({ tenant: alpha, identity: `${use}-${at}@alpha.test`, use, privateKey: pair });
    }
  });
}

/** They make names and sums, and hide nothing. */
const fixed: readonly string[] = ['index', 'audit', 'state'];

function versionsOf(store: OpenStore, use: (typeof kekUses)[number]): readonly number[] {
  return store.kekRotation.versions().find((each) => each.use === use)?.versions ?? [];
}

/** Keys of the tenant, each opened and held against its public half. */
async function opened(store: OpenStore): Promise<number> {
  const all = await store.keys.ofTenant(alpha);
  for (const key of all) {
    assert.ok(store.keys.withSecret(key, (secret) => publicHalf(privateKeyOf(secret))).equals(spki));
  }
  return all.length;
}

test('every use that covers keys or rows is rotated; what makes names is not', async () => {
  await using setUp = await openedStore();
  const store = setUp.store();
  for (const use of ['signing', 'decryption', 'spool', 'mac'] as const) await add(store, use, 5);
  const isRefused = (error: unknown): boolean => error instanceof KeyFault && error.code === 'key-state';
  for (const use of kekUses) {
    if (fixed.includes(use)) await assert.rejects(store.kekRotation.begin(use, self), isRefused);
    else assert.equal(await store.kekRotation.begin(use, self), 2);
  }
  await assert.rejects(store.kekRotation.begin('signing', self), isRefused, 'while one replaces the other');
  while (await store.kekRotation.step());
  for (const { use, versions } of store.kekRotation.versions()) {
    assert.deepEqual(versions, fixed.includes(use) ? [1] : [2], use);
  }
  assert.equal(await opened(store), 20);
  await setUp.reopen();
  assert.equal(await opened(setUp.store()), 20);
  const told = (await setUp.log()).map(({ operation, key }) => `${operation} ${key}`);
  for (const use of ['signing', 'record'] as const) {
    assert.ok(told.includes(`kek-added kek/${use}/2`) && told.includes(`kek-removed kek/${use}/1`), use);
  }
});

test('between two batches keys are used, added and moved as ever', async () => {
  await using setUp = await openedStore();
  const store = setUp.store();
  await add(store, 'signing', keys);
  await store.kekRotation.begin('signing', self);
  await store.kekRotation.begin('record', self);
  let rounds = 0;
  while (await store.kekRotation.step()) {
    await store.keys.add({ tenant: alpha, identity: `new-${rounds++}@alpha.test`, use: 'signing', privateKey: pair });
    assert.equal(await opened(store), keys + rounds);
  }
  assert.ok(rounds >= 2);
  await setUp.reopen();
  assert.equal(await opened(setUp.store()), keys + rounds);
  assert.deepEqual(versionsOf(setUp.store(), 'record'), [2]);
});

test('SIGKILL before and after every commit: every key opens, the rotation goes on, nothing is unlogged', async () => {
  await using setUp = await openedStore();
  await add(setUp.store(), 'decryption', keys);
  const run = (...what: readonly string[]): number | null => {
    const args = [join(import.meta.dirname, 'rewrap-until-killed.ts'), setUp.directory, setUp.root.toString('hex')];
    return spawnSync(process.execPath, [...args, ...what], { stdio: ['ignore', 'ignore', 'inherit'], env }).status;
  };
  const killed = async (expected: readonly number[], ...what: readonly string[]): Promise<boolean> => {
    let status: number | null = null;
    await setUp.reopen(() => {
      status = run(...what);
    });
    if (status === 0) return false;
    assert.equal(status, null, 'killed');
    assert.equal(await opened(setUp.store()), keys);
    assert.ok(expected.includes(versionsOf(setUp.store(), 'decryption').length), what.join(' '));
    return true;
  };
  await killed([1], 'begin', '1', 'before');
  await killed([2], 'begin', '1', 'after');
  let at = 1;
  while ((await killed([2], 'resume', String(at), 'before')) && (await killed([1, 2], 'resume', String(at), 'after')))
    at++;
  assert.ok(at >= 2, 'batches and the removal');
  assert.deepEqual(versionsOf(setUp.store(), 'decryption'), [2]);
  await finished(setUp);
});

async function finished(setUp: OpenedStore): Promise<void> {
  const told = (await setUp.log()).map(({ operation, key }) => `${operation} ${key}`);
  assert.deepEqual(
    told.filter((each) => each.includes('kek')),
    ['kek-added kek/decryption/2', 'kek-removed kek/decryption/1'],
  );
}
