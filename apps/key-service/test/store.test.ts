// The store's rows: sealed where they stand, found by keyed names, all or nothing; and the file: held by one, never downgraded.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { codeOf, tenantId } from '@sealpost/core';
import { fileSlot } from '@sealpost/service';
import { temporaryDirectory } from '@sealpost/testkit';
import type { Row } from '../src/store/database.ts';
import { openKeyStore } from '../src/store/key-store.ts';
import { newStoreId, readOuter, writeOuter } from '../src/store/outer.ts';
import { openRecords, type RecordName } from '../src/store/records.ts';
import { openDatabase } from '../src/store/sqlite-database.ts';
import { openTransactions } from '../src/store/transactions.ts';
import { makeKeks, openKeks } from '../src/vault/keks.ts';
import { slotFacts } from '../src/vault/slot-book.ts';
import { newRoot, sealSlot } from '../src/vault/slots.ts';

const alpha = tenantId('alpha');

const name = (owner: string, id: string, tenant = 'alpha'): RecordName => ({ kind: 'certificate', tenant, owner, id });
const isMalformed = (error: unknown): boolean => codeOf(error) === 'sealed-malformed';

async function setUp(directory: string) {
  const database = await openDatabase(directory, true);
  const root = newRoot();
  const keks = openKeks(root, makeKeks(root, 'id'), 'id');
  const records = openRecords(openTransactions(database), keks);
  return { database, keks, records, keys: openKeyStore(records, keks, () => new Date()) };
}

test('rows are found by owner, tenant and id, and show neither address nor content in the file', async () => {
  await using directory = await temporaryDirectory();
  const { database, records } = await setUp(directory.path);
  await records.insert(name('alice@alpha.test', 'one'), Buffer.from('content-of-one'));
  await records.insert(name('alice@alpha.test', 'two'), Buffer.from('content-of-two'));
  await records.insert(name('bob@beta.test', 'one', 'beta'), Buffer.from('content-of-three'));
  assert.equal((await records.get(name('alice@alpha.test', 'one')))?.toString(), 'content-of-one');
  assert.equal(await records.get(name('bob@beta.test', 'one')), undefined);
  assert.equal((await records.ofOwner('certificate', 'alpha', 'alice@alpha.test')).length, 2);
  assert.equal((await records.ofTenant('certificate', 'beta')).length, 1);
  await assert.rejects(records.insert(name('alice@alpha.test', 'one'), Buffer.from('again')));
  await database.close();
  const bytes = Buffer.concat(readdirSync(directory.path).map((file) => readFileSync(join(directory.path, file))));
  for (const secret of ['alice', 'bob', 'content-of']) assert.equal(bytes.includes(secret), false, secret);
  assert.equal(statSync(join(directory.path, 'store.sqlite')).mode & 0o077, 0);
});

test('whoever can write to the file cannot move, swap or forge a row', async () => {
  await using directory = await temporaryDirectory();
  const { database, records } = await setUp(directory.path);
  await records.insert(name('alice@alpha.test', 'one'), Buffer.from('of alice'));
  await records.insert(name('mallory@alpha.test', 'two'), Buffer.from('of mallory'));
  await records.insert(name('mallory@beta.test', 'three', 'beta'), Buffer.from('of beta'));
  const [first, second] = await database.ofTenant('certificate', 'alpha');
  const [third] = await database.ofTenant('certificate', 'beta');
  assert.ok(first && second && third);

  const tryWith = async (before: Row, change: Partial<Row>): Promise<void> => {
    const after = { ...before, ...change };
    await database.commit([{ of: 'row', before, after }]);
    const reads = Promise.all(['alpha', 'beta'].map((tenant) => records.ofTenant('certificate', tenant)));
    await assert.rejects(reads, isMalformed);
    await database.commit([{ of: 'row', before: after, after: before }]);
  };
  const changed = Buffer.from(first.sealed);
  changed[changed.length - 1] = (changed[changed.length - 1] ?? 0) ^ 1;
  await tryWith(first, { sealed: second.sealed });
  await tryWith(second, { owner: first.owner });
  await tryWith(third, { tenant: 'alpha' });
  await tryWith(first, { sealed: first.sealed.subarray(0, 20) });
  await tryWith(first, { sealed: changed });
  assert.equal((await records.ofTenant('certificate', 'alpha')).length, 2);
  await database.close();
});

test('key versions count up for each identity and use, and each opens to its own key', async () => {
  await using directory = await temporaryDirectory();
  const { database, keys } = await setUp(directory.path);
  const add = (identity: string, use: 'signing' | 'decryption') =>
    keys.add({
      tenant: alpha,
      identity,
      use,
      privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
    });
  const of = (use: 'signing' | 'decryption') => add('a@alpha.test', use);
  const made = await Promise.all([of('signing'), of('signing'), of('decryption')]);
  assert.deepEqual(
    made.map(({ keyId }) => keyId),
    ['alpha/a%40alpha.test/signing/1', 'alpha/a%40alpha.test/signing/2', 'alpha/a%40alpha.test/decryption/1'],
  );
  assert.deepEqual(
    (await keys.versions(alpha, 'a@alpha.test', 'signing')).map(({ name: { version } }) => version),
    [2, 1],
  );
  const secrets = made.map((key) => keys.withSecret(key, (secret) => secret.toString('hex')));
  assert.equal(new Set(secrets).size, 3);
  await database.close();
});

test('slots, wrapped keys and the mark of development come back as they were written', async () => {
  await using directory = await temporaryDirectory();
  const database = await openDatabase(directory.path, true);
  assert.equal(await readOuter(database), undefined);
  const root = newRoot();
  const id = newStoreId();
  const facts = await fileSlot('mount', Buffer.alloc(32, 1));
  const slot = sealSlot(await slotFacts(facts, undefined), root, id, new Date());
  const outer = { id, development: true, slots: [slot], keks: makeKeks(root, id) };
  await writeOuter(database, outer);
  await database.close();
  const again = await openDatabase(directory.path);
  const read = await readOuter(again);
  assert.deepEqual({ ...read, keks: read?.keks.length }, { ...outer, keks: outer.keks.length });
  assert.ok(openKeks(root, read?.keks ?? [], id));
  await again.close();
});

test('a store of a newer version, of nobody, or in use is not opened', async () => {
  await using directory = await temporaryDirectory();
  await assert.rejects(openDatabase(directory.path), /no key store/);
  await (await openDatabase(directory.path, true)).close();
  const held = await openDatabase(directory.path);
  await assert.rejects(openDatabase(directory.path), /held by another process/);
  await held.close();
  const file = new DatabaseSync(join(directory.path, 'store.sqlite'));
  file.exec('PRAGMA user_version = 99');
  file.close();
  await assert.rejects(openDatabase(directory.path), /newer version/);
});
