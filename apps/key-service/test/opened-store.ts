// An open store on SQLite in a directory of its own, in this process: for tests that need neither server nor log.

import { SetupError } from '@sealpost/core';
import type { AuditEntry } from '@sealpost/service';
import { temporaryDirectory } from '@sealpost/testkit';
import { type OpenStore, openStore } from '../src/open-store.ts';
import { firstPolicy } from '../src/policy/first-policy.ts';
import { openDatabase } from '../src/store/database.ts';
import { newStoreId, readOuter, writeOuter } from '../src/store/outer.ts';
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
  let database = openDatabase(directory.path, true);
  writeOuter(database, { id, development: true, slots: [], keks: makeKeks(root, id) });
  let store = await open();
  store.policies.replace(firstPolicy(true));
  const entries: AuditEntry[] = [];

  async function open(): Promise<OpenStore> {
    const outer = readOuter(database);
    if (!outer) throw new SetupError('no store');
    const limits = { leaseMs: 60_000, leasesPerClient: 10, acknowledgeMs: 1_000, ticketLifeMs: 5 * 86_400_000 };
    return await openStore(database, outer, root, { limits, hsm: undefined, now: () => new Date(now) });
  }

  function close(): void {
    store.forget();
    database.close();
  }

  return {
    directory: directory.path,
    root,
    store: () => store,
    pass(ms) {
      now += ms;
    },
    async reopen(meanwhile) {
      close();
      meanwhile?.();
      database = openDatabase(directory.path);
      store = await open();
    },
    async log() {
      await store.outbox.flush(async (entry) => {
        entries.push(entry);
      });
      return entries;
    },
    async [Symbol.asyncDispose]() {
      close();
      await directory.remove();
    },
  };
}
