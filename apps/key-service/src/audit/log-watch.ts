// Holds the audit log against what the open store remembers of it and against what clients saw of it, and keeps that memory. A log
// that is not the one which the store wrote keeps the store sealed.

import { randomUUID } from 'node:crypto';
import type { Clock, Log } from '@sealpost/core';
import { type AuditEntry, type ChainHead, parseHead, type SignedHead } from '@sealpost/service';
import { installationTenant } from '../authority/authority.ts';
import type { OpenStore } from '../open-store.ts';
import type { Records } from '../store/records.ts';
import { contradicts, openClientHeads } from './client-heads.ts';
import { auditKeyId, findAuditKey, type HeadSigner, headSigner, makeAuditKey } from './head-signer.ts';
import type { Journal } from './journal.ts';
import { beginAnew, type LogMemory, recallLog, rememberLog } from './log-memory.ts';
import { holdsMemory } from './open-log.ts';

export interface LogWatch {
  /** What the service does by itself, on record. Error: `audit-unavailable`. */
  event(operation: string, more: Partial<AuditEntry>): Promise<void>;
  /** The same around the making of a key, intent and outcome. */
  recorded<T>(subject: Pick<AuditEntry, 'tenant' | 'key'>, make: () => Promise<T>): Promise<T>;
  /** Takes up the log for a store that was opened; false when it is not the one that this store wrote. */
  begin(store: OpenStore): Promise<boolean>;
  /** Signs what the log holds and keeps its head in the store, if it moved. A log that fails says so by itself. */
  mark(): Promise<void>;
  /** Keeps the log's head in the store. */
  save(): Promise<void>;
  /** A head that a client shows while the store is sealed; it is judged by `begin`. */
  wait(client: string, text: string): void;
  /** A head that a client shows, when the log contradicts it; it is kept, so that the next opening finds it too. */
  contradicted(text: string): SignedHead | undefined;
  /** While the store is open. */
  signer(): HeadSigner | undefined;
  /** Forgets a signer, unless the store was opened again meanwhile. */
  end(signer: HeadSigner | undefined): void;
}

interface Parts {
  /** Error: `audit-unavailable`. */
  journal(): Journal;
  readonly file: string;
  readonly clock: Clock;
  readonly log: Log;
  /** An operator gave up the log that the store knows. */
  readonly replaceLog: boolean;
}

export function watchLog({ journal, file, clock, log, replaceLog }: Parts): LogWatch {
  const clientHeads = openClientHeads();
  let signer: HeadSigner | undefined;
  let memory: LogMemory | undefined;
  let records: Records | undefined;

  async function record(operation: string, more: Partial<AuditEntry>): Promise<void> {
    const actor = { role: 'key-service', name: 'self' };
    await journal().append({ at: clock.now(), kind: 'event', operation, request: randomUUID(), actor, ...more });
  }

  async function recorded<T>(subject: Pick<AuditEntry, 'tenant' | 'key'>, make: () => Promise<T>): Promise<T> {
    await record('key-make', { kind: 'intent', ...subject });
    const made = await make();
    await record('key-make', { kind: 'outcome', ...subject, result: 'ok' });
    return made;
  }

  async function save(): Promise<void> {
    if (!records || !memory) return;
    memory = { ...memory, ...journal().head() };
    await rememberLog(records, memory);
  }

  const holds = ({ seq, hash }: ChainHead): boolean =>
    seq <= journal().head().head.seq && (journal().hashAt(seq) ?? hash) === hash;

  return {
    event: record,
    recorded,
    save,
    wait: clientHeads.wait,
    signer: () => signer,
    async begin(store) {
      const subject = { tenant: installationTenant, key: auditKeyId };
      const key = (await findAuditKey(store.keys)) ?? (await recorded(subject, () => makeAuditKey(store.keys)));
      const known = await recallLog(store.records);
      const remembered = replaceLog ? beginAnew(known) : known;
      const by = headSigner(remembered.log, key);
      [memory, signer, records] = [remembered, by, store.records];
      if (replaceLog) {
        const { head } = known;
        await record('audit-log-replaced', { replaces: head ? `${head.seq} ${head.hash}` : 'none', result: 'ok' });
        journal().signWith(by, store.commits);
        return true;
      }
      const shown = clientHeads.waited().find((head) => contradicts(head, journal(), known, by));
      if (shown?.log === known.log) {
        await rememberLog(store.records, { ...known, shown: { seq: shown.seq, hash: shown.hash } });
      }
      if (shown || (known.shown && !holds(known.shown)) || !(await holdsMemory(file, known, journal(), by))) {
        log.event('audit.failed', { reason: 'tampered' });
        return false;
      }
      journal().signWith(by, store.commits);
      return true;
    },
    async mark() {
      if (!signer || journal().head().head.hash === memory?.head?.hash) return;
      await journal()
        .checkpoint(clock.now())
        .catch(() => undefined);
      await save();
    },
    contradicted(text) {
      const shown = parseHead(text);
      if (!shown || !memory || !signer || !contradicts(shown, journal(), memory, signer)) return undefined;
      log.event('alert.authenticity', {
        reason: 'a client holds a head that the audit log does not',
        count: shown.seq,
      });
      // Kept: the store's own head would follow the log that is wrong.
      if (shown.log === memory.log) memory = { ...memory, shown: { seq: shown.seq, hash: shown.hash } };
      return shown;
    },
    end(last) {
      if (signer !== last) return;
      if (last) journal().signWith(undefined);
      [signer, memory, records] = [undefined, undefined, undefined];
    },
  };
}
