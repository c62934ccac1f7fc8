// A new version of a KEK while the service works on: it is added, every row that an older version covers is wrapped or sealed anew
// in bounded batches, and when a whole pass finds none left, the older versions are removed. The store itself says where this stands
// (two versions of a use), so what a crash interrupts goes on after the next opening.

import { type AuditEntry, KeyFault } from '@sealpost/service';
import { type Keks, type KekUse, kekUses } from '../vault/keks.ts';
import type { RowPlace } from './database.ts';
import { rewrapped } from './key-store.ts';
import type { Outbox } from './outbox.ts';
import type { Records } from './records.ts';
import type { Transactions } from './transactions.ts';

/** Rows in one transaction: some milliseconds, in which nobody else is served. */
const batchRows = 64;

/** These make names and sums and hide no key: rows are found, the log is read and the store is judged by them, so they stay. */
const fixedUses: readonly KekUse[] = ['index', 'audit', 'state'];

export interface KekRotation {
  /** Fault: `key-state` for a use that does not rotate, and while one of its versions still replaces another. */
  assertReady(use: KekUse): void;
  /** Adds the next version, with its record. Fault: as `assertReady`. */
  begin(use: KekUse, actor: AuditEntry['actor']): Promise<number>;
  /** Does one batch of what is left; false when nothing is. */
  step(): Promise<boolean>;
  /** Versions by use; two where one replaces the other. */
  versions(): { readonly use: KekUse; readonly versions: readonly number[] }[];
}

interface Parts {
  readonly store: Transactions;
  readonly records: Records;
  readonly keks: Keks;
  readonly outbox: Outbox;
  now(): Date;
}

export function openKekRotation({ store, records, keks, outbox, now }: Parts): KekRotation {
  let place: RowPlace | undefined;
  let changed = 0;

  const replaced = (): { use: KekUse; version: number }[] =>
    kekUses.flatMap((use) =>
      keks
        .versions(use)
        .slice(1)
        .map((version) => ({ use, version })),
    );

  async function tell(operation: string, actor: AuditEntry['actor'], use: KekUse, version: number): Promise<void> {
    await outbox.put({ at: now(), operation, actor, key: `kek/${use}/${version}`, result: 'ok' });
  }

  async function removeOld(): Promise<void> {
    const { keks: there } = await store.outside();
    for (const { use, version } of replaced()) {
      await store.put({ of: 'kek', before: there.find((kek) => kek.use === use && kek.version === version) });
      await tell('kek-removed', { role: 'key-service', name: 'self' }, use, version);
      store.whenCommitted(() => keks.drop(use, version));
    }
  }

  function assertReady(use: KekUse): void {
    if (fixedUses.includes(use) || keks.versions(use).length > 1) throw new KeyFault('key-state');
  }

  return {
    assertReady,
    begin: (use, actor) =>
      store.transaction(async () => {
        assertReady(use);
        const kek = keks.make(use);
        await store.put({ of: 'kek', after: kek });
        await tell('kek-added', actor, use, kek.version);
        store.whenCommitted(() => {
          keks.take(kek);
          // Rows before this place may be of the version that is replaced now.
          place = undefined;
          changed = 0;
        });
        return kek.version;
      }),
    async step() {
      if (replaced().length === 0) return false;
      const isDone = await store.transaction(async () => {
        const done = await records.renew(place, batchRows, (kind, content) =>
          kind === 'key' ? rewrapped(content, keks) : content,
        );
        const isClean = !done.last && changed + done.changed === 0;
        if (isClean) await removeOld();
        store.whenCommitted(() => {
          place = done.last;
          changed = done.last ? changed + done.changed : 0;
        });
        return isClean;
      });
      if (isDone) await store.scrub();
      return !isDone;
    },
    versions: () => kekUses.map((use) => ({ use, versions: keks.versions(use) })),
  };
}
