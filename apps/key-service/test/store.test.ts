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
import { openDatabase } from '../src/store/database.ts';
import { openKeyStore } from '../src/store/key-store.ts';
import { newStoreId, readOuter, writeOuter } from '../src/store/outer.ts';
import { openRecords, type RecordName } from '../src/store/records.ts';
import { sqliteRows } from '../src/store/sqlite-rows.ts';
import { makeKeks, openKeks } from '../src/vault/keks.ts';
import { slotFacts } from '../src/vault/slot-book.ts';
import { newRoot, sealSlot } from '../src/vault/slots.ts';

const alpha = tenantId('alpha');

const name = (owner: string, id: string, tenant = 'alpha'): RecordName => ({ kind: 'certificate', tenant, owner, id });
const isMalformed = (error: unknown): boolean => codeOf(error) === 'sealed-malformed';

function setUp(directory: string) {
  const database = openDatabase(directory, true);
  const root = newRoot();
  const keks = openKeks(root, makeKeks(root, 'id'), 'id');
  const records = openRecords(sqliteRows(database), keks);
  return { database, keks, records, keys: openKeyStore(records, keks, () => new Date()) };
}

test('rows are found by owner, tenant and id, and show neither address nor content in the file', async () => {
  await using directory = await temporaryDirectory();
  const { database, records } = setUp(directory.path);
  records.insert(name('alice@alpha.test', 'one'), Buffer.from('content-of-one'));
  records.insert(name('alice@alpha.test', 'two'), Buffer.from('content-of-two'));
  records.insert(name('bob@beta.test', 'one', 'beta'), Buffer.from('content-of-three'));
  assert.equal(records.get(name('alice@alpha.test', 'one'))?.toString(), 'content-of-one');
  assert.equal(records.get(name('bob@beta.test', 'one')), undefined);
  assert.equal(records.ofOwner('certificate', 'alpha', 'alice@alpha.test').length, 2);
  assert.equal(records.ofTenant('certificate', 'beta').length, 1);
  assert.throws(() => records.insert(name('alice@alpha.test', 'one'), Buffer.from('again')));
  database.close();
  const bytes = Buffer.concat(readdirSync(directory.path).map((file) => readFileSync(join(directory.path, file))));
  for (const secret of ['alice', 'bob', 'content-of']) assert.equal(bytes.includes(secret), false, secret);
  assert.equal(statSync(join(directory.path, 'store.sqlite')).mode & 0o077, 0);
});

test('whoever can write to the file cannot move, swap or forge a row', async () => {
  await using directory = await temporaryDirectory();
  const { database, records } = setUp(directory.path);
  records.insert(name('alice@alpha.test', 'one'), Buffer.from('of alice'));
  records.insert(name('mallory@alpha.test', 'two'), Buffer.from('of mallory'));
  records.insert(name('mallory@beta.test', 'three', 'beta'), Buffer.from('of beta'));
  const rows = database.prepare('SELECT * FROM records ORDER BY tenant').all();
  const [first, second, third] = rows;
  assert.ok(first && second && third);

  const tryWith = (sql: string, ...values: (string | Uint8Array)[]): void => {
    database.exec('BEGIN');
    database.prepare(sql).run(...values);
    assert.throws(
      () => [...records.ofTenant('certificate', 'alpha'), ...records.ofTenant('certificate', 'beta')],
      isMalformed,
    );
    database.exec('ROLLBACK');
  };
  const blob = (value: unknown): Uint8Array => value as Uint8Array;
  tryWith('UPDATE records SET sealed = ? WHERE id = ?', blob(second.sealed), blob(first.id));
  tryWith('UPDATE records SET owner = ? WHERE id = ?', blob(first.owner), blob(second.id));
  tryWith('UPDATE records SET tenant = ? WHERE id = ?', 'alpha', blob(third.id));
  tryWith('UPDATE records SET sealed = ? WHERE id = ?', blob(first.sealed).subarray(0, 20), blob(first.id));
  const changed = Buffer.from(blob(first.sealed));
  changed[changed.length - 1] = (changed[changed.length - 1] ?? 0) ^ 1;
  tryWith('UPDATE records SET sealed = ? WHERE id = ?', changed, blob(first.id));
  assert.equal(records.ofTenant('certificate', 'alpha').length, 2);
  database.close();
});

test('a transaction that fails leaves nothing behind', async () => {
  await using directory = await temporaryDirectory();
  const { database, records } = setUp(directory.path);
  assert.throws(() =>
    records.transaction(() => {
      records.insert(name('a', 'one'), Buffer.from('x'));
      throw new Error('stop');
    }),
  );
  assert.equal(records.ofTenant('certificate', 'alpha').length, 0);
  records.transaction(() => records.insert(name('a', 'one'), Buffer.from('x')));
  assert.equal(records.ofTenant('certificate', 'alpha').length, 1);
  database.close();
});

test('key versions count up for each identity and use, and each opens to its own key', async () => {
  await using directory = await temporaryDirectory();
  const { database, keys } = setUp(directory.path);
  const add = (identity: string, use: 'signing' | 'decryption') =>
    keys.add({
      tenant: alpha,
      identity,
      use,
      privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
    });
  const made = [add('a@alpha.test', 'signing'), add('a@alpha.test', 'signing'), add('a@alpha.test', 'decryption')];
  assert.deepEqual(
    made.map(({ keyId }) => keyId),
    ['alpha/a%40alpha.test/signing/1', 'alpha/a%40alpha.test/signing/2', 'alpha/a%40alpha.test/decryption/1'],
  );
  assert.deepEqual(
    keys.versions(alpha, 'a@alpha.test', 'signing').map(({ name: { version } }) => version),
    [2, 1],
  );
  const secrets = made.map(({ keyId }) => keys.withSecret(keyId, (secret) => secret.toString('hex')));
  assert.equal(new Set(secrets).size, 3);
  assert.throws(
    () => keys.withSecret('alpha/a%40alpha.test/signing/3' as (typeof made)[0]['keyId'], () => undefined),
    (error) => codeOf(error) === 'key-denied',
  );
  database.close();
});

test('slots, wrapped keys and the mark of development come back as they were written', async () => {
  await using directory = await temporaryDirectory();
  const database = openDatabase(directory.path, true);
  assert.equal(readOuter(database), undefined);
  const root = newRoot();
  const id = newStoreId();
  const facts = await fileSlot('mount', Buffer.alloc(32, 1));
  const slot = sealSlot(await slotFacts(facts, undefined), root, id, new Date());
  const outer = { id, development: true, slots: [slot], keks: makeKeks(root, id) };
  writeOuter(database, outer);
  database.close();
  const again = openDatabase(directory.path);
  const read = readOuter(again);
  assert.deepEqual({ ...read, keks: read?.keks.length }, { ...outer, keks: outer.keks.length });
  assert.ok(openKeks(root, read?.keks ?? [], id));
  again.close();
});

test('a store of a newer version, of nobody, or in use is not opened', async () => {
  await using directory = await temporaryDirectory();
  assert.throws(() => openDatabase(directory.path), /no key store/);
  openDatabase(directory.path, true).close();
  const held = openDatabase(directory.path);
  assert.throws(() => openDatabase(directory.path), /held by another process/);
  held.close();
  const file = new DatabaseSync(join(directory.path, 'store.sqlite'));
  file.exec('PRAGMA user_version = 99');
  file.close();
  assert.throws(() => openDatabase(directory.path), /newer version/);
});
