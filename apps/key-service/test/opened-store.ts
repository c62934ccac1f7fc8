// An open store on SQLite in a directory of its own, in this process: for tests that need neither server nor log.

import { fail, type KeyId, SetupError } from '@sealpost/core';
import type { AuditEntry } from '@sealpost/service';
import { temporaryDirectory } from '@sealpost/testkit';
import { type OpenStore, openStore } from '../src/open-store.ts';
import { firstPolicy } from '../src/policy/first-policy.ts';
import { newStoreId, readOuter, writeOuter } from '../src/store/outer.ts';
import { openDatabase } from '../src/store/sqlite-database.ts';
import { makeKeks } from '../src/vault/keks.ts';
import { newRoot } from '../src/vault/slots.ts';

export interface OpenedStore extends AsyncDisposable {
  readonly directory: string;
  readonly root: Buffer;
  store(): OpenStore;
  /** Moves the clock. */
  pass(ms: number): void;
  /** Closes and opens, as a restart does; `meanwhile` may have the files. */
  reopen(meanwhile?: () => void): Promise<void>;
  /** Takes what waits to a log of this test; returns all that it holds. */
  log(): Promise<readonly AuditEntry[]>;
}

export async function openedStore(): Promise<OpenedStore> {
  const directory = await temporaryDirectory();
  const root = newRoot();
  const id = newStoreId();
  let now = Date.now();
  let database = await openDatabase(directory.path, true);
  await writeOuter(database, { id, development: true, slots: [], keks: makeKeks(root, id) });
  let store = await open();
  await store.policies.replace(firstPolicy(true));
  const entries: AuditEntry[] = [];

  async function open(): Promise<OpenStore> {
    const outer = await readOuter(database);
    if (!outer) throw new SetupError('no store');
    const limits = { leaseMs: 60_000, leasesPerClient: 10, acknowledgeMs: 1_000, ticketLifeMs: 5 * 86_400_000 };
    return await openStore(database, outer, root, { limits, hsm: undefined, now: () => new Date(now) }, 0);
  }

  async function close(): Promise<void> {
    store.forget();
    await database.close();
  }

  return {
    directory: directory.path,
    root,
    store: () => store,
    pass(ms) {
      now += ms;
    },
    async reopen(meanwhile) {
      await close();
      meanwhile?.();
      database = await openDatabase(directory.path);
      store = await open();
    },
    async log() {
      await store.outbox.flush(async (entry) => {
        entries.push(entry);
      });
      return entries;
    },
    async [Symbol.asyncDispose]() {
      await close();
      await directory.remove();
    },
  };
}

/** Runs `use` on a key's secret as it stands now. Error: `key-denied` where there is none. */
export async function withSecretOf<T>(
  { keys }: Pick<OpenStore, 'keys'>,
  keyId: KeyId,
  use: (secret: Buffer) => T,
): Promise<T> {
  const key = await keys.get(keyId);
  if (!key) throw fail('key-denied');
  return keys.withSecret(key, use);
}
