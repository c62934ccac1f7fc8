// Nothing of a store is put back, removed or brought in unseen: every single thing of it, the state itself, and the whole.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeyFault } from '@sealpost/service';
import type { Change, Database, Row } from '../src/store/database.ts';
import { openRecords } from '../src/store/records.ts';
import { openState } from '../src/store/state.ts';
import { openTransactions } from '../src/store/transactions.ts';
import { makeKeks, openKeks } from '../src/vault/keks.ts';
import { newRoot } from '../src/vault/slots.ts';
import { memoryDatabase } from './memory-database.ts';

const storeId = 'aa'.repeat(16);
const isTampered = (error: unknown): boolean => error instanceof KeyFault && error.code === 'store-tampered';
const person = (id: string) => ({ kind: 'person', tenant: 'alpha', owner: id, id }) as const;
const slot = (label: string, text = label) => ({ label, kind: 'file', bytes: Buffer.from(text) }) as const;

/** A store with a past: two people of whom one changed, two slots of which one was replaced, a KEK that was replaced. */
async function setUp() {
  const database = memoryDatabase();
  const root = newRoot();
  for (const kek of makeKeks(root, storeId)) await database.commit([{ of: 'kek', after: kek }]);
  await database.commit([{ of: 'meta', after: { name: 'store-id', value: storeId } }]);

  async function open(onRecord = 0) {
    const keks = openKeks(root, (await database.outside()).keks, storeId);
    const state = await openState(database, keks, storeId, onRecord);
    const store = openTransactions(state.database);
    return { state, store, keks, records: openRecords(store, keks) };
  }

  const { records, store, keks, state } = await open();
  await records.insert(person('alice'), Buffer.from('alice as she was'));
  await records.insert(person('bob'), Buffer.from('bob'));
  await store.put({ of: 'slot', after: slot('one') });
  await store.put({ of: 'slot', after: slot('two', 'two as it was') });
  const earlier = await everything(database);
  const kek = keks.make('signing');
  await store.transaction(async () => {
    await records.replace(person('alice'), Buffer.from('alice as she is'));
    await records.insert(person('carol'), Buffer.from('carol'));
    await store.put({ of: 'slot', before: slot('two', 'two as it was'), after: slot('two', 'two as it is') });
    await store.put({ of: 'slot', after: slot('three') });
    await store.put({ of: 'kek', before: earlier.outside.keks.find(({ use }) => use === 'signing') });
    await store.put({ of: 'kek', after: kek });
    await store.put({ of: 'meta', after: { name: 'development', value: 'once' } });
  });
  return { database, open, earlier, now: await everything(database), commits: state.commits() };
}

async function everything(database: Database) {
  return { outside: await database.outside(), rows: await database.after(undefined, 1_000) };
}

type Everything = Awaited<ReturnType<typeof everything>>;

/** What turns the one into the other. */
function difference(from: Everything, to: Everything): Change[] {
  const changes: Change[] = [];
  const between = <T extends object>(
    a: readonly T[],
    b: readonly T[],
    name: (thing: T) => string,
    of: Change['of'],
  ) => {
    for (const key of new Set([...a, ...b].map(name))) {
      const [before, after] = [a, b].map((things) => things.find((each) => name(each) === key));
      if (before !== after) changes.push({ of, before, after } as unknown as Change);
    }
  };
  between(from.rows, to.rows, ({ kind, id }) => `${kind} ${id.toString('hex')}`, 'row');
  between(from.outside.slots, to.outside.slots, ({ label }) => label, 'slot');
  between(from.outside.keks, to.outside.keks, ({ use, version }) => `${use} ${version}`, 'kek');
  between(from.outside.meta, to.outside.meta, ({ name }) => name, 'meta');
  return changes;
}

const reversed = ({ of, before, after }: Change) => ({ of, before: after, after: before }) as Change;
const isState = (change: Change): boolean => change.of === 'meta' && (change.before ?? change.after)?.name === 'state';

test('a store that nobody wrote to opens, its count goes on, and each commit is one', async () => {
  const { open, commits } = await setUp();
  const first = await open(commits);
  assert.equal(first.state.commits(), commits);
  await first.records.insert(person('dora'), Buffer.from('dora'));
  assert.equal((await open(commits + 1)).state.commits(), commits + 1);
});

test('every single thing put back as it was, and every set of them, keeps the store closed', async () => {
  const { database, open, earlier, now } = await setUp();
  const all = difference(now, earlier).filter((change) => !isState(change));
  assert.equal(all.length, 7);
  const sets = [...all.map((change) => [change]), all.slice(0, 2), all.slice(2, 5), all];
  for (const changes of sets) {
    await database.commit(changes);
    // A KEK that is gone or foreign is told before.
    await assert.rejects(open(), (error) => isTampered(error) || changes.some(({ of }) => of === 'kek'));
    await database.commit(changes.map(reversed));
  }
  await open();
});

test('a row removed, brought in again, or in the place of another is found', async () => {
  const { database, open, now } = await setUp();
  const [one, two] = now.rows;
  assert.ok(one && two);
  const strange: Row = { ...one, id: Buffer.alloc(32, 9) };
  const attacks: readonly (readonly Change[])[] = [
    [{ of: 'row', before: one }],
    now.rows.map((before) => ({ of: 'row', before })),
    [{ of: 'row', after: strange }],
    [{ of: 'row', before: one, after: { ...one, tenant: 'beta' } }],
    [{ of: 'row', before: one, after: { ...one, owner: two.owner } }],
    [
      { of: 'row', before: one, after: { ...one, sealed: two.sealed } },
      { of: 'row', before: two, after: { ...two, sealed: one.sealed } },
    ],
    [{ of: 'slot', before: slot('three') }],
    [{ of: 'meta', before: { name: 'development', value: 'once' } }],
    [{ of: 'meta', after: { name: 'strange', value: '' } }],
  ];
  for (const changes of attacks) {
    await database.commit(changes);
    await assert.rejects(open(), isTampered);
    await database.commit(changes.map(reversed).reverse());
  }
  await open();
});

test('the state itself put back, removed, damaged or of another store is found', async () => {
  const { database, open, earlier, now } = await setUp();
  const [before, old, foreign] = [now, earlier, (await setUp()).now].map(({ outside }) =>
    outside.meta.find(({ name }) => name === 'state'),
  );
  const kek = now.outside.keks.find(({ use }) => use === 'state');
  assert.ok(before && old && foreign && kek);
  const values = ['', 'AAAA', `${before.value.slice(0, -8)}AAAAAAA=`, 'x'.repeat(100_000)];
  const attacks: Change[][] = [old, foreign, ...values.map((value) => ({ name: 'state', value }))].map((after) => [
    { of: 'meta', before, after },
  ]);
  attacks.push([{ of: 'meta', before }], [{ of: 'kek', before: kek }]);
  for (const changes of attacks) {
    await database.commit(changes);
    await assert.rejects(open(), isTampered);
    await database.commit(changes.map(reversed));
  }
  await open();
});

test('the whole of an earlier moment agrees with itself, and less than the log knows is refused; so is none at all', async () => {
  const { database, open, earlier, now, commits } = await setUp();
  const back = difference(now, earlier);
  await database.commit(back);
  const { state } = await open();
  assert.equal(state.commits(), commits - 1);
  await assert.rejects(open(commits), isTampered);
  await database.commit(back.map(reversed));
  const marks: Change[] = [
    { of: 'meta', before: now.outside.meta.find(({ name }) => name === 'state') },
    { of: 'kek', before: now.outside.keks.find(({ use }) => use === 'state') },
  ];
  await database.commit(marks);
  await assert.rejects(open(1), isTampered, 'as a store of an earlier version, which the log knows better');
  await database.commit(marks.map(reversed));
  await open(commits);
});

test('of two that opened the same store and write, the second is refused, and the store stays whole', async () => {
  const { open } = await setUp();
  const [one, two] = [await open(), await open()];
  await one.records.insert(person('dora'), Buffer.from('of one'));
  await assert.rejects(two.records.insert(person('emil'), Buffer.from('of two')), { name: 'ChangeConflict' });
  const { records } = await open();
  assert.equal((await records.get(person('dora')))?.toString(), 'of one');
  assert.equal(await records.get(person('emil')), undefined);
});

test('what is put back while the store is open is found at the next opening, also when it was used and written over', async () => {
  const { database, open, earlier, now } = await setUp();
  const opened = await open();
  const alice = difference(now, earlier).find(({ of, before, after }) => of === 'row' && before && after);
  assert.ok(alice);
  await database.commit([alice]);
  assert.equal((await opened.records.get(person('alice')))?.toString(), 'alice as she was');
  await opened.records.replace(person('alice'), Buffer.from('alice from then on'));
  await assert.rejects(open(), isTampered);
});
