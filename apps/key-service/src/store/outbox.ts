// Audit records that wait in the store: written in the transaction of the change that they tell of, and taken to the log before
// the change is answered for, or at the next opening. A crash in between writes a record twice; its `request` tells that.

import { randomUUID } from 'node:crypto';
import type { AuditEntry } from '@sealpost/service';
import { installationTenant } from '../authority/authority.ts';
import type { RecordName, Records } from './records.ts';

export interface Outbox {
  /** To be called in the transaction of the change. */
  put(entry: Omit<AuditEntry, 'kind' | 'request'>): Promise<void>;
  /** Resolves when everything that waits is in the log. Error: what `append` throws; the rest then waits on. */
  flush(append: (entry: AuditEntry) => Promise<void>): Promise<void>;
}

interface Waiting {
  /** Sorts in the order of putting. */
  readonly id: string;
  readonly entry: Omit<AuditEntry, 'at'> & { readonly at: string };
}

const place = (id: string): RecordName => ({ kind: 'outbox', tenant: installationTenant, owner: '', id });

export function openOutbox(records: Records): Outbox {
  let count = 0;
  // What an earlier process left behind is found with the first flush.
  let isEmpty = false;
  let running: Promise<void> = Promise.resolve();

  async function empty(append: (entry: AuditEntry) => Promise<void>): Promise<void> {
    while (!isEmpty) {
      isEmpty = true;
      try {
        const waiting = (await records.ofTenant('outbox', installationTenant)).map(parse).sort(byId);
        await Promise.all(waiting.map(({ entry }) => append({ ...entry, at: new Date(entry.at) })));
        await records.transaction(async () => {
          for (const { id } of waiting) await records.remove(place(id));
        });
      } catch (error) {
        isEmpty = false;
        throw error;
      }
    }
  }

  return {
    async put({ at, ...entry }) {
      const id = `${at.toISOString()} ${String(count++).padStart(9, '0')} ${randomUUID()}`;
      const waiting: Waiting = { id, entry: { ...entry, kind: 'event', request: randomUUID(), at: at.toISOString() } };
      await records.insert(place(id), Buffer.from(JSON.stringify(waiting)));
      // Not before: a flush that goes on meanwhile would not find it.
      records.whenCommitted(() => {
        isEmpty = false;
      });
    },
    flush(append) {
      // One after the other, so that nothing is written twice.
      const turn = running.catch(() => undefined).then(() => empty(append));
      running = turn;
      return turn;
    },
  };
}

function parse(content: Buffer): Waiting {
  return JSON.parse(content.toString('utf8')) as Waiting;
}

function byId(a: Waiting, b: Waiting): number {
  return a.id < b.id ? -1 : 1;
}
