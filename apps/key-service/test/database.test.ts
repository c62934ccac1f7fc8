// The contract of the seam under the store, held by SQLite and by the memory twin alike.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '@sealpost/testkit';
import { type Change, ChangeConflict, type Database, type Row } from '../src/store/database.ts';
import { openDatabase } from '../src/store/sqlite-database.ts';
import type { Slot } from '../src/vault/slots.ts';
import { memoryDatabase } from './memory-database.ts';

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
const kek = (version: number, wrapped = `kek ${version}`) =>
  ({ use: 'signing', version, wrapped: Buffer.from(wrapped) }) as const;
const slot = (label: string, more: Partial<Slot> = {}): Slot => ({
  label,
  kind: 'passphrase',
  createdAt: new Date('2026-01-02T03:04:05.678Z'),
  bytes: Buffer.from(`slot ${label}`),
  ...more,
});
const put = (after: Row, before?: Row): Change => ({ of: 'row', before, after });

async function isRefused(database: Database, ...changes: Change[]): Promise<void> {
  await assert.rejects(database.commit(changes), ChangeConflict);
}

const forms: Readonly<Record<string, (use: (database: Database) => Promise<void>) => Promise<void>>> = {
  memory: (use) => use(memoryDatabase()),
  SQLite: async (use) => {
    await using directory = await temporaryDirectory();
    const database = await openDatabase(directory.path, true);
    await use(database).finally(() => database.close());
  },
};

for (const [form, withDatabase] of Object.entries(forms)) {
  const contract = (name: string, prove: (database: Database) => Promise<void>) =>
    test(`${form}: ${name}`, () => withDatabase(prove));

  contract('a row is found by its id, its owner and its tenant, and by nothing else', async (database) => {
    const other = row('1', 'other kind', { kind: 'certificate' });
    const [bobs, betas] = [row('2', 'two', { owner: hash('bob') }), row('3', 'three', { tenant: 'beta' })];
    await database.commit([put(row('1', 'one')), put(bobs), put(betas), put(other)]);
    assert.deepEqual(await database.get({ kind: 'key', id: hash('1') }), row('1', 'one'));
    assert.equal(await database.get({ kind: 'anchor', id: hash('1') }), undefined);
    assert.deepEqual(texts(await database.ofOwner('key', 'alpha', hash('alice'))), ['one']);
    assert.deepEqual(texts(await database.ofTenant('key', 'alpha')), ['one', 'two']);
    assert.deepEqual(await database.ofTenant('key', 'gamma'), []);
  });

  contract('a row is added where none is, replaced and removed only as it was found', async (database) => {
    const [one, two] = [row('1', 'one'), row('1', 'two')];
    await isRefused(database, put(two, one));
    await isRefused(database, { of: 'row', before: one });
    await database.commit([put(one)]);
    await isRefused(database, put(row('1', 'again', { tenant: 'beta' })));
    await isRefused(database, put(two, row('1', 'other')));
    await isRefused(database, put(two, row('1', 'one', { owner: hash('bob') })));
    await database.commit([put(two, one)]);
    await isRefused(database, put(row('1', 'three'), one));
    await isRefused(database, { of: 'row', before: one });
    assert.deepEqual(texts(await database.ofTenant('key', 'alpha')), ['two']);
    await database.commit([{ of: 'row', before: two }]);
    await isRefused(database, { of: 'row', before: two });
    assert.equal(await database.get(two), undefined);
  });

  contract('slots keep their order and what they say, and change only as they were found', async (database) => {
    const [first, second] = [slot('mount', { kind: 'file' }), slot('a')];
    const { createdAt: _, ...old } = slot('old');
    await database.commit([first, second, old].map((after): Change => ({ of: 'slot', after })));
    assert.deepEqual((await database.outside()).slots, [first, second, old]);
    await isRefused(database, { of: 'slot', after: slot('a', { kind: 'file' }) });
    const next = slot('mount', { bytes: Buffer.from('next') });
    await isRefused(database, { of: 'slot', before: next, after: first });
    await isRefused(database, { of: 'slot', before: slot('old') });
    await database.commit([
      { of: 'slot', before: first, after: next },
      { of: 'slot', before: old },
    ]);
    assert.deepEqual((await database.outside()).slots, [next, second]);
  });

  contract('a version of a KEK and a fact are there once and change only as they were found', async (database) => {
    const fact = (value: string) => ({ name: 'store-id', value });
    await database.commit([
      { of: 'kek', after: kek(1) },
      { of: 'kek', after: kek(2) },
      { of: 'meta', after: fact('a') },
    ]);
    await isRefused(database, { of: 'kek', after: kek(2) });
    await isRefused(database, { of: 'kek', before: kek(1, 'other') });
    await isRefused(database, { of: 'meta', after: fact('b') });
    await isRefused(database, { of: 'meta', before: fact('b'), after: fact('c') });
    await database.commit([
      { of: 'kek', before: kek(1) },
      { of: 'kek', before: kek(2), after: kek(2, 'anew') },
      { of: 'meta', before: fact('a'), after: fact('b') },
    ]);
    assert.deepEqual(await database.outside(), { meta: [fact('b')], slots: [], keks: [kek(2, 'anew')] });
    await database.commit([{ of: 'meta', before: fact('b') }]);
    assert.deepEqual((await database.outside()).meta, []);
  });

  contract('a commit of which one thing is not as it was found leaves nothing behind', async (database) => {
    await database.commit([put(row('0', 'before')), { of: 'meta', after: { name: 'a', value: '1' } }]);
    const all: Change[] = [
      { of: 'row', before: row('0', 'before') },
      put(row('1', 'one')),
      { of: 'kek', after: kek(1) },
      { of: 'slot', after: slot('a') },
      { of: 'meta', before: { name: 'a', value: '1' }, after: { name: 'a', value: '2' } },
    ];
    await isRefused(database, ...all, { of: 'row', before: row('2', 'two') });
    assert.deepEqual(texts(await database.ofTenant('key', 'alpha')), ['before']);
    assert.deepEqual(await database.outside(), { meta: [{ name: 'a', value: '1' }], slots: [], keks: [] });
    await database.commit(all);
    assert.deepEqual(texts(await database.ofTenant('key', 'alpha')), ['one']);
  });

  contract('changes of one commit see each other in their order', async (database) => {
    const [one, two, three] = [row('1', 'one'), row('1', 'two'), row('1', 'three')];
    await database.commit([put(one), put(two, one), { of: 'row', before: two }, put(three)]);
    assert.deepEqual(await database.get(one), three);
    await database.commit([]);
  });

  contract('of many commits that found the same, one holds', async (database) => {
    await database.commit([put(row('1', 'start'))]);
    const tries = Array.from({ length: 20 }, (_, at) => [put(row('1', `try ${at}`), row('1', 'start'))]);
    const done = await Promise.allSettled(tries.map((changes) => database.commit(changes)));
    assert.equal(done.filter(({ status }) => status === 'fulfilled').length, 1);
  });

  contract('going through all rows in parts meets each once, in order', async (database) => {
    const ids = Array.from({ length: 23 }, () => randomBytes(32));
    await database.commit(
      ids.map((id, at) => put(row('', `row ${at}`, { id, kind: at % 2 === 0 ? 'key' : 'anchor' }))),
    );
    const met: Row[] = [];
    for (let part = await database.after(undefined, 5); part.length > 0; part = await database.after(met.at(-1), 5)) {
      assert.ok(part.length <= 5);
      met.push(...part);
    }
    assert.deepEqual(texts(met), ids.map((_, at) => `row ${at}`).sort());
    const places = met.map(({ kind, id }) => `${kind} ${id.toString('hex')}`);
    assert.deepEqual(places, places.toSorted());
  });

  contract('content of any bytes and length comes back as it went', async (database) => {
    const odd = [Buffer.alloc(0), Buffer.from([0]), Buffer.alloc(3 * 1024 * 1024, 0xff), randomBytes(70_000)];
    const rows = odd.map((sealed, at) => row(String(at), '', { sealed, tenant: "a'; DROP TABLE records;--\u0000é" }));
    await database.commit(rows.map((each) => put(each)));
    for (const each of rows) assert.deepEqual(await database.get(each), each);
    assert.equal((await database.ofTenant('key', rows[0]?.tenant ?? '')).length, odd.length);
  });
}

test('SQLite: what was removed or replaced is in no file of the store any more once that is asked for', async () => {
  await using directory = await temporaryDirectory();
  const database = await openDatabase(directory.path, true);
  const secrets = ['removed', 'replaced'].map((name) => `${name}-${randomBytes(8).toString('hex')}`.repeat(200));
  const [removed = '', replaced = ''] = secrets;
  await database.commit([put(row('1', removed)), put(row('2', replaced))]);
  await database.scrub();
  const holds = (secret: string): boolean =>
    readdirSync(directory.path).some((file) => readFileSync(join(directory.path, file)).includes(secret.slice(0, 25)));
  assert.deepEqual(secrets.map(holds), [true, true]);
  await database.commit([{ of: 'row', before: row('1', removed) }, put(row('2', 'two'), row('2', replaced))]);
  await database.scrub();
  assert.deepEqual(secrets.map(holds), [false, false]);
  await database.close();
});
