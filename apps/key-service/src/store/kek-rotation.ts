// A new version of a KEK while the service works on: it is added, every row that an older version covers is wrapped or sealed anew
// in bounded batches, and when a whole pass finds none left, the older versions are removed. The store itself says where this stands
// (two versions of a use), so what a crash interrupts goes on after the next opening.

import { type AuditEntry, KeyFault } from '@sealpost/service';
import { type Keks, type KekUse, kekUses } from '../vault/keks.ts';
import { rewrapped } from './key-store.ts';
import type { Outbox } from './outbox.ts';
import type { Records } from './records.ts';
import type { RowPlace, Rows } from './rows.ts';

/** Rows in one transaction: some milliseconds, in which nobody else is served. */
const batchRows = 64;

/** `index` and `audit` make names and hide no key: rows are found and the log is read by them, so they stay. */
const fixedUses: readonly KekUse[] = ['index', 'audit'];

export interface KekRotation {
  /** Fault: `key-state` for a use that does not rotate, and while one of its versions still replaces another. */
  assertReady(use: KekUse): void;
  /** Adds the next version, with its record. Fault: as `assertReady`. */
  begin(use: KekUse, actor: AuditEntry['actor']): number;
  /** Does one batch of what is left; false when nothing is. */
  step(): boolean;
  /** Versions by use; two where one replaces the other. */
  versions(): { readonly use: KekUse; readonly versions: readonly number[] }[];
}

interface Parts {
  readonly rows: Rows;
  readonly records: Records;
  readonly keks: Keks;
  readonly outbox: Outbox;
  now(): Date;
}

export function openKekRotation({ rows, records, keks, outbox, now }: Parts): KekRotation {
  let place: RowPlace | undefined;
  let changed = 0;

  const replaced = (): { use: KekUse; version: number }[] =>
    kekUses.flatMap((use) =>
      keks
        .versions(use)
        .slice(1)
        .map((version) => ({ use, version })),
    );

  function tell(operation: string, actor: AuditEntry['actor'], use: KekUse, version: number): void {
    outbox.put({ at: now(), operation, actor, key: `kek/${use}/${version}`, result: 'ok' });
  }

  function removeOld(): void {
    const old = replaced();
    records.transaction(() => {
      for (const { use, version } of old) {
        rows.removeKek({ use, version });
        tell('kek-removed', { role: 'key-service', name: 'self' }, use, version);
      }
    });
    for (const { use, version } of old) keks.drop(use, version);
    records.scrub();
  }

  function assertReady(use: KekUse): void {
    if (fixedUses.includes(use) || keks.versions(use).length > 1) throw new KeyFault('key-state');
  }

  return {
    assertReady,
    begin(use, actor) {
      assertReady(use);
      const kek = keks.make(use);
      records.transaction(() => {
        rows.addKek(kek);
        tell('kek-added', actor, use, kek.version);
      });
      keks.take(kek);
      // Rows before this place may be of the version that is replaced now.
      place = undefined;
      changed = 0;
      return kek.version;
    },
    step() {
      if (replaced().length === 0) return false;
      const done = records.renew(place, batchRows, (kind, content) =>
        kind === 'key' ? rewrapped(content, keks) : content,
      );
      changed += done.changed;
      place = done.last;
      if (place) return true;
      const isLastPass = changed === 0;
      changed = 0;
      if (!isLastPass) return true;
      removeOld();
      return false;
    },
    versions: () => kekUses.map((use) => ({ use, versions: keks.versions(use) })),
  };
}
