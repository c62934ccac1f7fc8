// Units of work over a database: what one reads, what others see of it, that it is all or nothing, and that one runs at a time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { temporaryDirectory } from '@sealpost/testkit';
import type { Database, Row } from '../src/store/database.ts';
import { openDatabase } from '../src/store/sqlite-database.ts';
import { openTransactions, type Transactions } from '../src/store/transactions.ts';
import { memoryDatabase } from './memory-database.ts';

const row = (id: string, sealed: string, tenant = 'alpha'): Row => ({
  kind: 'key',
  tenant,
  owner: Buffer.alloc(32, 1),
  id: Buffer.from(id),
  sealed: Buffer.from(sealed),
});

async function put(store: Transactions, after: Row): Promise<void> {
  await store.put({ of: 'row', before: await store.get(after), after });
}

async function remove(store: Transactions, place: Row): Promise<void> {
  await store.put({ of: 'row', before: await store.get(place) });
}

async function seen(store: Pick<Database, 'ofTenant'>): Promise<string[]> {
  return (await store.ofTenant('key', 'alpha')).map(({ sealed }) => sealed.toString());
}

interface Opened {
  readonly store: Transactions;
  readonly database: Database;
  commits(): number;
}

function setOn(database: Database): Opened {
  let commits = 0;
  const counted: Database = {
    ...database,
    commit: (changes) => {
      commits += 1;
      return database.commit(changes);
    },
  };
  return { store: openTransactions(counted), database, commits: () => commits };
}

/** On both databases. */
function proven(name: string, prove: (opened: Opened) => Promise<void>): void {
  test(`memory: ${name}`, () => prove(setOn(memoryDatabase())));
  test(`SQLite: ${name}`, async () => {
    await using directory = await temporaryDirectory();
    const database = await openDatabase(directory.path, true);
    await prove(setOn(database)).finally(() => database.close());
  });
}

proven('reads inside see what it wrote, others what is committed, and it is one commit', async ({ store, commits }) => {
  await put(store, row('1', 'one'));
  await put(store, row('2', 'two'));
  let began = (): void => undefined;
  const started = new Promise<void>((resolve) => {
    began = resolve;
  });
  const before = commits();
  const work = store.transaction(async () => {
    await put(store, row('1', 'ONE'));
    await remove(store, row('2', ''));
    await put(store, row('3', 'three'));
    await store.put({ of: 'meta', after: { name: 'a', value: 'b' } });
    began();
    await nextTurn();
    assert.deepEqual(await seen(store), ['ONE', 'three']);
    assert.equal((await store.ofOwner('key', 'alpha', Buffer.alloc(32, 1))).length, 2);
    assert.equal((await store.get(row('2', '')))?.sealed, undefined);
    assert.equal((await store.after(undefined, 1)).length, 1);
    assert.equal((await store.after(row('1', ''), 5))[0]?.sealed.toString(), 'three');
    assert.deepEqual((await store.outside()).meta, [{ name: 'a', value: 'b' }]);
    // Moved to another tenant, it is not this one's any more.
    await put(store, row('3', 'gone', 'beta'));
    assert.deepEqual(await seen(store), ['ONE']);
  });
  await started;
  assert.deepEqual(await seen(store), ['one', 'two']);
  await work;
  assert.deepEqual(await seen(store), ['ONE']);
  assert.equal(commits() - before, 1);
});

proven(
  'one that fails leaves nothing behind, also of one inside it, and nothing of memory follows it',
  async ({ store }) => {
    await put(store, row('1', 'one'));
    const told: string[] = [];
    const work = store.transaction(async () => {
      await store.transaction(() => put(store, row('2', 'two')));
      await store.transaction(() => remove(store, row('1', '')));
      store.whenCommitted(() => told.push('never'));
      throw new Error('stop');
    });
    await assert.rejects(work, /stop/);
    assert.deepEqual([await seen(store), told], [['one'], []]);
    await store.transaction(async () => store.whenCommitted(() => told.push('now')));
    assert.deepEqual(told, ['now']);
  },
);

proven('one runs at a time: of many that read, wait and write, none is lost', async ({ store }) => {
  await put(store, row('n', '0'));
  const told: number[] = [];
  const add = () =>
    store.transaction(async () => {
      const before = Number((await store.get(row('n', '')))?.sealed.toString());
      await nextTurn();
      await put(store, row('n', String(before + 1)));
      store.whenCommitted(() => told.push(before + 1));
    });
  await Promise.all(Array.from({ length: 50 }, add));
  assert.deepEqual(await seen(store), ['50']);
  assert.deepEqual(
    told,
    Array.from({ length: 50 }, (_, at) => at + 1),
  );
});

proven('what goes on after its transaction ended throws instead of reading or writing', async ({ store }) => {
  let late: Promise<unknown>[] = [];
  await store.transaction(async () => {
    const after = nextTurn();
    late = [
      after.then(() => store.get(row('1', ''))),
      after.then(() => store.outside()),
      after.then(() => put(store, row('1', 'late'))),
      after.then(() => store.transaction(async () => undefined)),
    ];
    for (const each of late) each.catch(() => undefined);
  });
  for (const each of late) await assert.rejects(each, /after its transaction ended/);
  assert.deepEqual(await seen(store), []);
});

proven(
  'a commit that meets what somebody else wrote meanwhile is refused, and the next one works',
  async ({ store, database }) => {
    await put(store, row('1', 'one'));
    const work = store.transaction(async () => {
      await put(store, row('1', 'mine'));
      await database.commit([{ of: 'row', before: row('1', 'one'), after: row('1', 'theirs') }]);
    });
    await assert.rejects(work, { name: 'ChangeConflict' });
    assert.deepEqual(await seen(store), ['theirs']);
    await put(store, row('1', 'mine'));
    assert.deepEqual(await seen(store), ['mine']);
  },
);
