// That the store holds what it wrote last and nothing else. Rows, slots and KEKs are each sealed by themselves, so whoever writes to
// the database can forge none; but he could take one away, or put an older one in its place. Against that stands a state: how many
// commits there were, and a keyed hash over the set of everything, sealed in a fact of its own and held against all of it at each
// opening. A commit brings it forward from what it changes and swaps it, so of two writers who found the same one is refused: that is
// what makes commits one after the other for any database behind the seam. The whole of an older moment agrees with itself; it is told
// by the count that the audit log shows.

import { createHmac } from 'node:crypto';
import { readFrame, writeFrame } from '@sealpost/core';
import { KeyFault } from '@sealpost/service';
import { box, unbox } from '../vault/box.ts';
import type { Keks } from '../vault/keks.ts';
import type { Change, Database, Meta, Row, Things } from './database.ts';

const stateName = 'state';
const stateVersion = 1;
/** XOR of HMAC-SHA256 over each thing; AES-256-GCM around it, since whoever saw the sums could find things that cancel out. */
const stateSuite = 1;
const sumLength = 32;
/** Rows read at a time while everything is summed up. */
const batchRows = 1_024;

interface State {
  readonly count: number;
  readonly sum: Buffer;
  /** As it is stored. */
  readonly fact: Meta;
}

export interface GuardedDatabase {
  /** Its commits bring the state forward. Nothing else may commit. */
  readonly database: Database;
  /** How many commits there were. */
  commits(): number;
}

/**
 * Holds everything against the state; a store of an earlier version, which has none, begins one. `onRecord`: the commits that the
 * audit log knows of. Fault: `store-tampered`.
 */
export async function openState(
  database: Database,
  keks: Keks,
  storeId: string,
  onRecord: number,
): Promise<GuardedDatabase> {
  const bound = writeFrame(stateVersion, stateSuite, ['sealpost state', storeId]);
  const key = (): Buffer => keks.newest('state').key;
  const seal = (count: number, sum: Buffer): State => {
    const plain = writeFrame(stateVersion, stateSuite, [String(count), sum]);
    const sealed = Buffer.concat([Buffer.from([stateVersion, stateSuite]), box(key(), plain, bound)]);
    return { count, sum, fact: { name: stateName, value: sealed.toString('base64') } };
  };

  async function begin(): Promise<State> {
    const after = keks.make('state');
    keks.take(after);
    const first: Change = { of: 'kek', after };
    const state = seal(1, forward(await sumOf(database, key()), [first], key()));
    await database.commit([first, { of: 'meta', after: state.fact }]);
    return state;
  }

  async function check(fact: Meta | undefined): Promise<State> {
    const state = fact && read(fact, key, bound);
    const isWhole = state?.sum.equals(await sumOf(database, key()));
    if (!state || !isWhole || state.count < onRecord) throw new KeyFault('store-tampered');
    return state;
  }

  const fact = (await database.outside()).meta.find(({ name }) => name === stateName);
  const isFirst = !fact && onRecord === 0 && keks.versions('state').length === 0;
  if (!isFirst && keks.versions('state').length === 0) throw new KeyFault('store-tampered');
  let state = isFirst ? await begin() : await check(fact);

  return {
    commits: () => state.count,
    database: {
      ...database,
      async commit(changes) {
        const next = seal(state.count + 1, forward(state.sum, changes, key()));
        await database.commit([...changes, { of: 'meta', before: state.fact, after: next.fact }]);
        state = next;
      },
    },
  };
}

function read(fact: Meta, key: () => Buffer, bound: Buffer): State | undefined {
  const bytes = Buffer.from(fact.value, 'base64');
  if (bytes[0] !== stateVersion || bytes[1] !== stateSuite) return undefined;
  try {
    const [count, sum] = readFrame(unbox(key(), bytes.subarray(2), bound), 2).fields as [Buffer, Buffer];
    return { count: Number(count.toString()), sum, fact };
  } catch {
    return undefined;
  }
}

/** Of everything but the state itself. */
async function sumOf(database: Database, key: Buffer): Promise<Buffer> {
  const { meta, slots, keks } = await database.outside();
  const sum = Buffer.alloc(sumLength);
  for (const fact of meta) if (fact.name !== stateName) add(sum, hashOf('meta', fact, key));
  for (const slot of slots) add(sum, hashOf('slot', slot, key));
  for (const kek of keks) add(sum, hashOf('kek', kek, key));
  let batch: Row[] = [];
  do {
    batch = await database.after(batch.at(-1), batchRows);
    for (const row of batch) add(sum, hashOf('row', row, key));
  } while (batch.length > 0);
  return sum;
}

function forward(before: Buffer, changes: readonly Change[], key: Buffer): Buffer {
  const sum = Buffer.from(before);
  for (const change of changes) {
    if (change.before) add(sum, hashOf(change.of, change.before, key));
    if (change.after) add(sum, hashOf(change.of, change.after, key));
  }
  return sum;
}

function add(sum: Buffer, hash: Buffer): void {
  for (let at = 0; at < sumLength; at++) sum[at] = (sum[at] ?? 0) ^ (hash[at] ?? 0);
}

/** Over its kind and place, framed, and then its content. */
const parts: { readonly [K in keyof Things]: (thing: Things[K]) => readonly [(string | Buffer)[], string | Buffer] } = {
  row: ({ kind, tenant, owner, id, sealed }) => [[kind, tenant, owner, id], sealed],
  kek: ({ use, version, wrapped }) => [[use, String(version)], wrapped],
  slot: ({ label, kind, createdAt, bytes }) => [[label, kind, createdAt?.toISOString() ?? ''], bytes],
  meta: ({ name, value }) => [[name], value],
};

function hashOf<K extends keyof Things>(of: K, thing: Things[K], key: Buffer): Buffer {
  const [place, content] = parts[of](thing);
  return createHmac('sha256', key)
    .update(writeFrame(stateVersion, stateSuite, [of, ...place]))
    .update(content)
    .digest();
}
