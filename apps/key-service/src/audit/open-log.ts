// Opens the audit log for writing: reads the last segment, cuts off what a crash tore, and refuses one that somebody changed.

import { renameSync } from 'node:fs';
import type { Clock, Log } from '@sealpost/core';
import {
  type AuditRecord,
  type ChainHead,
  closedSegments,
  holdsHead,
  isGenuineHead,
  parseHead,
  readSegment,
  type SignedHead,
  segmentsOf,
} from '@sealpost/service';
import type { HeadSigner } from './head-signer.ts';
import { type Journal, openJournal, remember } from './journal.ts';
import type { LogMemory } from './log-memory.ts';
import { fileSink, finishRotation } from './sink.ts';

export interface LogOptions {
  readonly file: string;
  readonly deadlineMs: number;
  readonly segmentBytes: number;
  readonly log: Log;
  readonly clock: Clock;
  /** Sets the old file aside and begins a new one. */
  readonly replaceLog?: boolean;
  onGroup?(records: number, seconds: number): void;
}

/** The log with its torn end cut off; undefined when it is not genuine. Only the last segment is read: the checkpoint that it
 * begins with stands for those before, and is judged when the store is open. */
export async function openLog(options: LogOptions): Promise<Journal | undefined> {
  const { file, deadlineMs, segmentBytes, log, clock, replaceLog, onGroup } = options;
  finishRotation(file);
  if (replaceLog) await setAside(file, clock.now());
  const hashes = new Map<number, string>();
  let opening: SignedHead | undefined;
  let commits = 0;
  const state = await readSegment(file, undefined, (line, { seq, hash }, before) => {
    if (hashes.size === 0 && before.seq > 0) opening = openingOf(line, before);
    remember(hashes, seq, hash);
    commits = Math.max(commits, Number(/"commits":(\d{1,15})[,}]/.exec(line)?.[1] ?? 0));
  });
  const isGone = state.kind === 'genuine' && state.head.seq === 0 && (await closedSegments(file)).length > 0;
  if (state.kind === 'tampered' || isGone) {
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
    segment: state.start.seq + 1,
    segmentBytes,
    opening,
    commits,
    hashes,
    deadlineMs,
    onFailure: (error) => log.event('audit.failed', error instanceof Error ? { error } : {}),
    ...(onGroup ? { onGroup } : {}),
  });
}

/** With all its segments, under one name, so that it can still be verified. */
async function setAside(file: string, now: Date): Promise<void> {
  const aside = `${file}.replaced-${now.getTime()}`;
  for (const each of await segmentsOf(file)) renameSync(each, `${aside}${each.slice(file.length)}`);
}

/** What the first line says is signed, if it is what stands before it. */
function openingOf(line: string, before: ChainHead): SignedHead | undefined {
  const record = JSON.parse(line) as AuditRecord;
  const head = record.kind === 'checkpoint' ? parseHead(record.head) : undefined;
  return head?.seq === before.seq && head.hash === before.hash ? head : undefined;
}

/** Whether the log holds what the store remembers of it: the line itself, or a segment that begins with our signature over all before it. */
export async function holdsMemory(file: string, memory: LogMemory, journal: Journal, by: HeadSigner): Promise<boolean> {
  const { segment } = journal.head();
  if (segment > 1) {
    const opening = journal.opening();
    const isOurs = opening?.log === by.log && opening.seq === segment - 1 && isGenuineHead(opening, by.publicKey);
    if (!isOurs) return false;
  }
  const { head, end, segment: remembered = 1 } = memory;
  if (!head || !end || remembered < segment) return true;
  return remembered === segment && (await holdsHead(file, end, head));
}
