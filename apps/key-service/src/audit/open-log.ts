// Opens the audit log for writing: reads it whole, cuts off what a crash tore, and refuses one that somebody changed.

import { existsSync, renameSync } from 'node:fs';
import type { Clock, Log } from '@sealpost/core';
import { readLog } from '@sealpost/service';
import { type Journal, openJournal, remember } from './journal.ts';
import { fileSink } from './sink.ts';

export interface LogOptions {
  readonly file: string;
  readonly deadlineMs: number;
  readonly log: Log;
  readonly clock: Clock;
  /** Sets the old file aside and begins a new one. */
  readonly replaceLog?: boolean;
  onGroup?(records: number, seconds: number): void;
}

/** The log with its torn end cut off; undefined when it is not genuine. */
export async function openLog(options: LogOptions): Promise<Journal | undefined> {
  const { file, deadlineMs, log, clock, replaceLog, onGroup } = options;
  if (replaceLog && existsSync(file)) renameSync(file, `${file}.replaced-${clock.now().getTime()}`);
  const hashes = new Map<number, string>();
  const state = await readLog(file, (_, { seq, hash }) => remember(hashes, seq, hash));
  if (state.kind === 'tampered') {
    log.event('audit.failed', { reason: 'tampered', count: state.head.seq });
    return undefined;
  }
  const sink = await fileSink(file);
  if (state.torn > 0) {
    log.event('audit.failed', { reason: 'torn end repaired', bytes: state.torn });
    await sink.truncate(state.end);
    await sink.sync();
  }
  return openJournal(sink, {
    head: state.head,
    end: state.end,
    hashes,
    deadlineMs,
    onFailure: (error) => log.event('audit.failed', error instanceof Error ? { error } : {}),
    ...(onGroup ? { onGroup } : {}),
  });
}
