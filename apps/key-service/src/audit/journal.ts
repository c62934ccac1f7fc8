// Appends to the audit log with group commit: whatever waits goes to disk in one write and one fdatasync, and only then are its
// writers told. A disk that fails or does not answer in time makes them fail; nothing passes unlogged and nothing hangs.

import { fail } from '@sealpost/core';
import { type AuditEntry, type ChainHead, chainLine } from './chain.ts';
import { maxGroupBytes } from './read-log.ts';
import type { Sink } from './sink.ts';

/** Records in one group; at most 1 KiB each they stay below `maxGroupBytes`. */
const maxGroup = 512;
/** Records that wait; more means that the disk is too slow for the load. */
const maxWaiting = 16_384;

export interface Journal {
  /** Resolves when the entry is on disk. Error: `audit-unavailable`. */
  append(entry: AuditEntry): Promise<void>;
  /** The durable head and where its line ends in the file. */
  head(): { readonly head: ChainHead; readonly end: number };
  /** The last group failed, or hangs. */
  isFailing(): boolean;
  close(): Promise<void>;
}

export interface JournalOptions {
  readonly head: ChainHead;
  readonly end: number;
  readonly deadlineMs: number;
  onFailure(error: unknown): void;
  onGroup?(records: number, seconds: number): void;
}

interface Waiting {
  readonly entry: AuditEntry;
  readonly done: () => void;
  readonly failed: (error: Error) => void;
}

export function openJournal(sink: Sink, options: JournalOptions): Journal {
  let { head, end } = options;
  let waiting: Waiting[] = [];
  let isRunning = false;
  let failing = false;
  /** The write that did not end in time; nothing else may touch the file before it does. */
  let hanging: Promise<unknown> | undefined;

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      const group = waiting.splice(0, maxGroup);
      const started = performance.now();
      try {
        await commit(group.map(({ entry }) => entry));
        if (failing) failing = false;
        options.onGroup?.(group.length, (performance.now() - started) / 1000);
        for (const { done } of group) done();
      } catch (error) {
        if (!failing) options.onFailure(error);
        failing = true;
        const late = waiting;
        waiting = [];
        for (const { failed } of [...group, ...late]) failed(fail('audit-unavailable'));
      }
    }
    isRunning = false;
  }

  async function commit(entries: readonly AuditEntry[]): Promise<void> {
    if (hanging) throw new Error('the last write still hangs');
    const lines: string[] = [];
    let next = head;
    for (const entry of entries) {
      const { line, head: after } = chainLine(entry, next);
      lines.push(line);
      next = after;
    }
    const bytes = Buffer.from(lines.join(''), 'utf8');
    if (bytes.length > maxGroupBytes) throw new Error('records too long');
    const repair = failing;
    const work = (async () => {
      // What a failed group may have left behind was never answered for.
      if (repair) await sink.truncate(end);
      await sink.write(bytes, end);
      await sink.sync();
    })();
    await inTime(work);
    head = next;
    end += bytes.length;
  }

  async function inTime(work: Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('the audit disk does not answer')), options.deadlineMs);
    });
    const settled = (): void => {
      hanging = undefined;
    };
    hanging = work.then(settled, settled);
    try {
      await Promise.race([work, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    append: (entry) =>
      new Promise<void>((resolve, reject) => {
        if (waiting.length >= maxWaiting) {
          reject(fail('audit-unavailable'));
          return;
        }
        waiting.push({ entry, done: resolve, failed: reject });
        if (isRunning) return;
        isRunning = true;
        // One turn later, so that requests that arrived together share a group.
        setImmediate(run);
      }),
    head: () => ({ head, end }),
    isFailing: () => failing,
    async close() {
      while (isRunning) await new Promise((resolve) => setImmediate(resolve));
      await (hanging ? undefined : sink.close());
    },
  };
}
