// The contract of the seam under the store, held by SQLite and by the memory twin alike.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '@sealpost/testkit';
import { openDatabase } from '../src/store/database.ts';
import { type Row, type Rows, RowTaken } from '../src/store/rows.ts';
import { sqliteRows } from '../src/store/sqlite-rows.ts';
import { memoryRows } from './memory-rows.ts';

const hash = (text: string): Buffer => Buffer.from(text.padEnd(32, '.'));
const row = (id: string, sealed: string, more: Partial<Row> = {}): Row => ({
  kind: 'key',
  tenant: 'alpha',
  owner: hash('alice'),
  id: hash(id),
  sealed: Buffer.from(sealed),
  ...more,
});
const texts = (rows: readonly Row[]): string[] => rows.map(({ sealed }) => sealed.toString()).sort();
const kek = (version: number) => ({ use: 'signing', version, wrapped: Buffer.from(`kek ${version}`) }) as const;

const forms: Readonly<Record<string, (use: (rows: Rows) => void) => Promise<void>>> = {
  memory: async (use) => use(memoryRows()),
  SQLite: async (use) => {
    await using directory = await temporaryDirectory();
    const database = openDatabase(directory.path, true);
    use(sqliteRows(database));
    database.close();
  },
};

for (const [form, withRows] of Object.entries(forms)) {
  const contract = (name: string, prove: (rows: Rows) => void) => test(`${form}: ${name}`, () => withRows(prove));

  contract('a row is found by its id, its owner and its tenant, and by nothing else', (rows) => {
    rows.insert(row('1', 'one'));
    rows.insert(row('2', 'two', { owner: hash('bob') }));
    rows.insert(row('3', 'three', { tenant: 'beta' }));
    rows.insert(row('1', 'other kind', { kind: 'certificate' }));
    assert.deepEqual(rows.get({ kind: 'key', id: hash('1') }), row('1', 'one'));
    assert.equal(rows.get({ kind: 'anchor', id: hash('1') }), undefined);
    assert.deepEqual(texts(rows.ofOwner('key', 'alpha', hash('alice'))), ['one']);
    assert.deepEqual(texts(rows.ofTenant('key', 'alpha')), ['one', 'two']);
    assert.deepEqual(rows.ofTenant('key', 'gamma'), []);
  });

  contract('an id is taken once in its kind; to replace is another thing', (rows) => {
    rows.insert(row('1', 'one'));
    assert.throws(() => rows.insert(row('1', 'again', { tenant: 'beta' })), RowTaken);
    rows.replace(row('1', 'new'));
    rows.replace(row('2', 'two'));
    assert.deepEqual(texts(rows.ofTenant('key', 'alpha')), ['new', 'two']);
  });

  contract('a swap holds only against what it found', (rows) => {
    assert.equal(rows.swap(row('1', 'x'), Buffer.from('one')), false);
    rows.insert(row('1', 'one'));
    assert.equal(rows.swap(row('1', 'two'), Buffer.from('other')), false);
    assert.equal(rows.swap(row('1', 'two'), Buffer.from('one')), true);
    assert.equal(rows.swap(row('1', 'three'), Buffer.from('one')), false);
    assert.deepEqual(texts(rows.ofTenant('key', 'alpha')), ['two']);
  });

  contract('what is removed is gone, and is removed once', (rows) => {
    rows.insert(row('1', 'one'));
    assert.equal(rows.remove({ kind: 'certificate', id: hash('1') }), false);
    assert.equal(rows.remove({ kind: 'key', id: hash('1') }), true);
    assert.equal(rows.remove({ kind: 'key', id: hash('1') }), false);
    assert.equal(rows.get({ kind: 'key', id: hash('1') }), undefined);
  });

  contract('going through all rows in parts meets each once', (rows) => {
    const ids = Array.from({ length: 23 }, () => randomBytes(32));
    ids.forEach((id, at) => {
      rows.insert(row('', `row ${at}`, { id, kind: at % 2 === 0 ? 'key' : 'anchor' }));
    });
    const met: Row[] = [];
    for (let part = rows.after(undefined, 5); part.length > 0; part = rows.after(met.at(-1), 5)) met.push(...part);
    assert.deepEqual(texts(met), ids.map((_, at) => `row ${at}`).sort());
    const places = met.map(({ kind, id }) => `${kind} ${id.toString('hex')}`);
    assert.deepEqual(places, places.toSorted());
  });

  contract('a transaction that fails leaves nothing behind, also with one inside it', (rows) => {
    rows.insert(row('0', 'before'));
    assert.throws(() =>
      rows.transaction(() => {
        rows.insert(row('1', 'one'));
        rows.addKek(kek(1));
        rows.transaction(() => rows.remove({ kind: 'key', id: hash('0') }));
        throw new Error('stop');
      }),
    );
    assert.deepEqual(texts(rows.ofTenant('key', 'alpha')), ['before']);
    assert.deepEqual(rows.keks(), []);
    assert.equal(
      rows.transaction(() => rows.transaction(() => rows.remove({ kind: 'key', id: hash('0') }))),
      true,
    );
    assert.deepEqual(rows.ofTenant('key', 'alpha'), []);
  });

  contract('a version of a KEK is taken once and goes alone', (rows) => {
    rows.addKek(kek(1));
    rows.addKek(kek(2));
    assert.throws(() => rows.addKek(kek(2)), RowTaken);
    rows.removeKek(kek(1));
    assert.deepEqual(rows.keks(), [kek(2)]);
  });
}

test('SQLite: what was removed or replaced is in no file of the store any more once that is asked for', async () => {
  await using directory = await temporaryDirectory();
  const database = openDatabase(directory.path, true);
  const rows = sqliteRows(database);
  const secrets = ['removed', 'replaced', 'swapped'].map((name) =>
    `${name}-${randomBytes(8).toString('hex')}`.repeat(200),
  );
  const [removed = '', replaced = '', swapped = ''] = secrets;
  rows.insert(row('1', removed));
  rows.insert(row('2', replaced));
  rows.insert(row('3', swapped));
  rows.scrub();
  const holds = (secret: string): boolean =>
    readdirSync(directory.path).some((file) => readFileSync(join(directory.path, file)).includes(secret.slice(0, 25)));
  assert.deepEqual(secrets.map(holds), [true, true, true]);
  rows.remove({ kind: 'key', id: hash('1') });
  rows.replace(row('2', 'two'));
  rows.swap(row('3', 'three'), Buffer.from(swapped));
  rows.scrub();
  assert.deepEqual(secrets.map(holds), [false, false, false]);
  database.close();
});
