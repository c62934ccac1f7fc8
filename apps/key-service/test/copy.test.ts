// A store as bytes: out of one database and into another, the same there, whole or refused; and the older form of a backup.

import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { codeOf } from '@sealpost/core';
import { formatHead, type Installation, signHead } from '@sealpost/service';
import { temporaryDirectory } from '@sealpost/testkit';
import { restoreStore } from '../src/backup/restore.ts';
import { copyStore, putCopy } from '../src/store/copy.ts';
import type { Change, Database } from '../src/store/database.ts';
import { readOuter } from '../src/store/outer.ts';
import { openDatabase } from '../src/store/sqlite-database.ts';
import { openTransactions } from '../src/store/transactions.ts';
import { memoryDatabase } from './memory-database.ts';

/** More than one batch. */
const rows = 1_500;

async function filled(database: Database): Promise<Database> {
  const changes: Change[] = Array.from({ length: rows }, (_, at) => {
    const [owner, id, sealed] = [randomBytes(32), randomBytes(32), randomBytes(at % 300)];
    return { of: 'row', after: { kind: at % 2 === 0 ? 'key' : 'act', tenant: 'alpha', owner, id, sealed } };
  });
  await database.commit([
    ...changes,
    { of: 'meta', after: { name: 'store-id', value: 'x' } },
    { of: 'slot', after: { label: 'old', kind: 'file', bytes: randomBytes(9) } },
    { of: 'slot', after: { label: 'a', kind: 'shamir', createdAt: new Date(), bytes: randomBytes(9) } },
    { of: 'kek', after: { use: 'record', version: 2, wrapped: randomBytes(9) } },
  ]);
  return database;
}

async function everything(database: Database) {
  return { outside: await database.outside(), rows: await database.after(undefined, 2 * rows) };
}

test('a copy of one database put into another holds the same', async () => {
  await using directory = await temporaryDirectory();
  const from = await filled(memoryDatabase());
  const to = await openDatabase(directory.path, true);
  await putCopy(to, await copyStore(openTransactions(from)));
  assert.deepEqual(await everything(to), await everything(from));
  await assert.rejects(putCopy(to, await copyStore(openTransactions(from))), { name: 'ChangeConflict' });
  await to.close();
});

test('bytes that are no copy put nothing in', async () => {
  const whole = await copyStore(openTransactions(await filled(memoryDatabase())));
  const first = whole.subarray(0, whole.indexOf(10) + 1);
  const bad: Buffer[] = ['', '{}', 'null', '[]', '{"v":2,"meta":[],"slots":[],"keks":[]}'].map((text) =>
    Buffer.from(text),
  );
  const rest = ['[1]', '["key","alpha","AA==","AA=="]', '["key","alpha","AA==","AA==","!"]', '\u0000'];
  bad.push(whole.subarray(0, -4), ...rest.map((line) => Buffer.concat([first, Buffer.from(line)])));
  for (const bytes of bad) {
    const database = memoryDatabase();
    await assert.rejects(putCopy(database, bytes), (error) => codeOf(error) === 'sealed-malformed');
    assert.deepEqual((await everything(database)).rows, []);
  }
});

test('a backup of an earlier version, which is the SQLite file as it was, is put back', async () => {
  await using directory = await temporaryDirectory();
  const store = readFileSync(join(import.meta.dirname, 'recorded/store-2/store.sqlite'));
  const { privateKey } = generateKeyPairSync('ed25519');
  const head = signHead('aa'.repeat(16), { seq: 7, hash: 'bb'.repeat(32) }, privateKey);
  const canary = { keyId: '', encapsulated: '', sealed: '', sha256: '' };
  const names = {
    createdAt: new Date().toISOString(),
    store: '',
    head: formatHead(head),
    key: 'k',
    sha256: '',
    canary,
  };
  const config = { keyServer: { directory: directory.path } } as unknown as Installation;
  await restoreStore({ manifest: { v: 1, ...names }, store }, config, {
    checkpoint: { text: formatHead(head), head, key: 'k' },
    acceptLoss: 0,
  });
  const database = await openDatabase(directory.path);
  assert.equal((await readOuter(database))?.slots.length, 1);
  await database.close();
});
