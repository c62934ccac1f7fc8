// A secret that was given up opens nothing of the store any more: with a slot goes the root, and what a copy of the slot from before
// still opens is in no file. Everything else opens as ever, after a restart too.

import assert from 'node:assert/strict';
import { chmodSync, cpSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { codeOf, tenantId } from '@sealpost/core';
import { combineShares, fileSlot, passphraseBytes, passphraseSlot, shamirSlot } from '@sealpost/service';
import { temporaryDirectory } from '@sealpost/testkit';
import { type OpenStore, openStore } from '../src/open-store.ts';
import { makePrivateKey } from '../src/store/make-key.ts';
import { newStoreId, readOuter, writeOuter } from '../src/store/outer.ts';
import { openDatabase } from '../src/store/sqlite-database.ts';
import { makeKeks, openKeks } from '../src/vault/keks.ts';
import { readSlotFile } from '../src/vault/slot-file.ts';
import { findRoot, newRoot, openSlot, sealSlot } from '../src/vault/slots.ts';

const limits = { leaseMs: 60_000, acknowledgeMs: 10_000, leasesPerClient: 10, ticketLifeMs: 60_000 };
const alpha = tenantId('alpha');
const secret = (at: number): Buffer => Buffer.alloc(32, at);

/** Opens the store by a slot's secret, for `use`; undefined where the secret opens nothing. */
async function withStore<T>(
  directory: string,
  kind: 'file' | 'passphrase' | 'shamir',
  bytes: Buffer,
  use: (store: OpenStore) => Promise<T>,
): Promise<T | undefined> {
  const database = await openDatabase(directory);
  try {
    const outer = await readOuter(database);
    assert.ok(outer);
    const found = await findRoot(outer.slots, kind, bytes, outer.id);
    if (!found) return undefined;
    const parts = { limits, hsm: undefined, now: () => new Date() };
    const store = await openStore(database, outer, found.root, parts, 0);
    try {
      return await use(store);
    } finally {
      store.forget();
    }
  } finally {
    await database.close();
  }
}

function bytesIn(directory: string): Buffer {
  return Buffer.concat(readdirSync(directory).map((name) => readFileSync(join(directory, name))));
}

/** A store with one slot for a file. */
async function makeStore(directory: string): Promise<string> {
  const [id, root] = [newStoreId(), newRoot()];
  const database = await openDatabase(directory, true);
  const first = await fileSlot('first', secret(1));
  const slots = [sealSlot(first as Parameters<typeof sealSlot>[0], root, id, new Date())];
  await writeOuter(database, { id, development: false, slots, keks: makeKeks(root, id) });
  await database.close();
  return id;
}

test('a removed and a replaced slot open nothing of the store; those that stay open it, and every key is there', async () => {
  await using directory = await temporaryDirectory();
  const id = await makeStore(directory.path);
  const split = await shamirSlot('people', 2, 3);
  const people = await combineShares(split.shares.slice(0, 2));
  const typed = passphraseBytes('correct horse battery');
  const keyId = await withStore(directory.path, 'file', secret(1), async ({ slots, keys }) => {
    await slots.add(split.slot);
    await slots.add(await passphraseSlot('typed', typed));
    const privateKey = await makePrivateKey('p-256');
    return (await keys.add({ tenant: alpha, identity: 'a@alpha.test', use: 'signing', privateKey })).keyId;
  });
  assert.ok(keyId);
  const before = await openDatabase(directory.path);
  const old = await readOuter(before);
  await before.close();
  const [first, shares] = [old?.slots[0], old?.slots[1]];
  assert.ok(first && shares);

  const made = await withStore(directory.path, 'passphrase', typed, async ({ slots, records, kekRotation }) => {
    // Two versions of a use, as while one replaces the other.
    await kekRotation.begin('signing', { role: 'key-admin', name: 'k' });
    assert.equal(await slots.remove('first'), 'renewed');
    assert.equal(await slots.replace(await fileSlot('people', secret(2))), 'renewed');
    // The new root makes what comes from now on.
    await kekRotation.begin('record', { role: 'key-admin', name: 'k' });
    await records.scrub();
    return (await slots.list()).map(({ label, createdAt }) => [label, createdAt !== undefined]);
  });
  assert.deepEqual(made, [
    ['people', true],
    ['typed', true],
  ]);

  assert.equal(await withStore(directory.path, 'file', secret(1), async () => 'open'), undefined);
  assert.equal(await withStore(directory.path, 'shamir', people, async () => 'open'), undefined);
  for (const [kind, bytes] of [
    ['file', secret(2)],
    ['passphrase', typed],
  ] as const) {
    const opened = await withStore(directory.path, kind, bytes, async ({ keys, kekRotation }) => {
      while (await kekRotation.step());
      const key = await keys.get(keyId);
      return key && keys.withSecret(key, (pkcs8) => pkcs8.length > 0);
    });
    assert.equal(opened, true, kind);
  }
  const after = await openDatabase(directory.path);
  const now = await readOuter(after);
  await after.close();
  for (const [slot, bytes] of [
    [first, secret(1)],
    [shares, people],
  ] as const) {
    const root = await openSlot(slot, bytes, id);
    assert.ok(root, 'the copy from before still gives the root of before');
    assert.throws(
      () => openKeks(root, now?.keks ?? [], id),
      (error) => codeOf(error) === 'sealed-malformed',
    );
    assert.equal(bytesIn(directory.path).includes(slot.bytes.subarray(-64)), false);
  }
  for (const { wrapped } of old?.keks ?? []) assert.equal(bytesIn(directory.path).includes(wrapped.subarray(2)), false);
});

test('twenty changes at the same time leave slots that open and one root', async () => {
  await using directory = await temporaryDirectory();
  await makeStore(directory.path);
  await withStore(directory.path, 'file', secret(1), async ({ slots, kekRotation }) => {
    await slots.add(await fileSlot('second', secret(2)));
    const replace = async (at: number) => slots.replace(await fileSlot('second', secret(at)));
    const all = [...Array(17).keys()].map((at) => replace(at + 3));
    const third = async () => slots.add(await fileSlot('third', secret(30)));
    const others = [third(), slots.remove('second'), kekRotation.begin('mac', { role: 'key-admin', name: 'k' })];
    await Promise.allSettled([...all, ...others]);
  });
  const open = await withStore(directory.path, 'file', secret(1), async ({ slots }) => (await slots.list()).length);
  assert.ok(open === 2 || open === 3);
  assert.equal(await withStore(directory.path, 'file', secret(30), async () => 'open'), 'open');
});

test('a slot of the first stores keeps the root until it is replaced itself', async () => {
  await using directory = await temporaryDirectory();
  cpSync(join(import.meta.dirname, 'recorded', 'store-1'), directory.path, { recursive: true });
  chmodSync(join(directory.path, 'root'), 0o600);
  const { bytes } = readSlotFile(join(directory.path, 'root'));
  const said = await withStore(directory.path, 'file', bytes, async ({ slots }) => {
    await slots.add(await fileSlot('second', secret(2)));
    const kept = await slots.remove('second');
    await slots.add(await fileSlot('second', secret(3)));
    return [kept, await slots.replace(await fileSlot('file', secret(4)))];
  });
  assert.deepEqual(said, ['kept', 'renewed']);
  assert.equal(await withStore(directory.path, 'file', bytes, async () => 'open'), undefined);
  for (const at of [3, 4])
    assert.equal(await withStore(directory.path, 'file', secret(at), async () => 'open'), 'open');
});
