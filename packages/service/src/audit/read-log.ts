// Reads an audit log, checks the chain over all its segments, and tells what a crash tore from what somebody changed: a write that was
// cut short leaves one line without an end, or blocks of zeros where the disk had not yet been; both only at the very end.

import { type FileHandle, open } from 'node:fs/promises';
import { beginsLine, type ChainHead, chainStart, followLine, maxLine } from './chain.ts';
import { beforeSegment, segmentsOf } from './segments.ts';

/** One group of records goes to disk at once; a torn write is never longer. */
export const maxGroupBytes = 1024 * 1024;
const readLength = 1024 * 1024;
/** The smallest piece that disks write. */
const sectorLength = 512;

/** `line` is without its line feed; `head` is after it and `before` before it. */
export type OnLine = (line: string, head: ChainHead, before: ChainHead) => void;

export type LogState =
  /** Whole, or with a torn end after `end`, `torn` bytes long. */
  | {
      readonly kind: 'genuine';
      /** Before the first record that is there: a log whose older segments are kept elsewhere begins later. */
      readonly start: ChainHead;
      readonly head: ChainHead;
      /** Where the last line ends in the last file. */
      readonly end: number;
      readonly torn: number;
    }
  /** The line after `head` was changed, or lines before it were taken out or reordered. */
  | { readonly kind: 'tampered'; readonly head: ChainHead };

const emptyLog: LogState & { readonly kind: 'genuine' } = {
  kind: 'genuine',
  start: chainStart,
  head: chainStart,
  end: 0,
  torn: 0,
};

/** Reads all segments; a log that is not there is an empty one. `onLine` gets each genuine line. */
export async function readLog(file: string, onLine: OnLine = () => undefined): Promise<LogState> {
  let whole: LogState & { readonly kind: 'genuine' } = emptyLog;
  for (const [at, segment] of (await segmentsOf(file)).entries()) {
    // Only the file that was being written can be torn.
    if (whole.torn > 0) return { kind: 'tampered', head: whole.head };
    const state = await readSegment(segment, at === 0 ? undefined : whole.head, onLine);
    if (state.kind === 'tampered') return state;
    whole = at === 0 ? state : { ...state, start: whole.start };
  }
  return whole;
}

/** Reads one file. `before`: what stands before it; left out, the first line says so. A file that is not there is an empty log. */
export async function readSegment(
  file: string,
  before: ChainHead | undefined,
  onLine: OnLine = () => undefined,
): Promise<LogState> {
  let handle: FileHandle;
  try {
    handle = await open(file, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return emptyLog;
    throw error;
  }
  try {
    return await follow(handle, before, onLine);
  } finally {
    await handle.close();
  }
}

async function follow(handle: FileHandle, before: ChainHead | undefined, onLine: OnLine): Promise<LogState> {
  const { size } = await handle.stat();
  let start = before ?? chainStart;
  let head = start;
  let end = 0;
  let rest = Buffer.alloc(0);
  for (let at = 0; at < size; ) {
    const chunk = Buffer.alloc(Math.min(readLength, size - at));
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, at);
    if (bytesRead === 0) break;
    at += bytesRead;
    rest = Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
    let from = 0;
    for (let feed = rest.indexOf(10); feed >= 0; feed = rest.indexOf(10, from)) {
      const line = rest.toString('utf8', from, feed);
      if (end === 0 && before === undefined) {
        start = beforeSegment(line) ?? chainStart;
        head = start;
      }
      const next = followLine(line, head);
      if (!next) return await tornOrTampered(handle, { start, head, end, size });
      onLine(line, next, head);
      head = next;
      end += feed + 1 - from;
      from = feed + 1;
    }
    rest = rest.subarray(from);
    if (rest.length > maxLine) return await tornOrTampered(handle, { start, head, end, size });
  }
  return size === end
    ? { kind: 'genuine', start, head, end, torn: 0 }
    : await tornOrTampered(handle, { start, head, end, size });
}

interface Followed {
  readonly start: ChainHead;
  readonly head: ChainHead;
  readonly end: number;
  readonly size: number;
}

/** What does not follow is torn only if it fits into one group and is the beginning of a line, or holds sectors that were never written. */
async function tornOrTampered(handle: FileHandle, { start, head, end, size }: Followed): Promise<LogState> {
  if (size - end <= maxGroupBytes) {
    const tail = Buffer.alloc(size - end);
    await handle.read(tail, 0, tail.length, end);
    if (beginsLine(tail, head) || hasUnwrittenSectors(tail, end))
      return { kind: 'genuine', start, head, end, torn: size - end };
  }
  return { kind: 'tampered', head };
}

/** A disk writes sectors whole, so what it did not write is zeros from the old end or a sector's start to a sector's end; a zero
 * anywhere else was put there. `start`: where the tail stands in the file. */
function hasUnwrittenSectors(tail: Buffer, start: number): boolean {
  let from = tail.indexOf(0);
  if (from < 0) return false;
  while (from >= 0) {
    let to = from;
    while (to < tail.length && tail[to] === 0) to++;
    const begins = from === 0 || (start + from) % sectorLength === 0;
    const ends = to === tail.length || (start + to) % sectorLength === 0;
    if (!begins || !ends) return false;
    from = tail.indexOf(0, to);
  }
  return true;
}

/** Whether the line that ends at `end` has this hash: a chain that was cut or written anew does not hold an older head. */
export async function holdsHead(file: string, end: number, head: ChainHead): Promise<boolean> {
  if (head.seq === 0) return true;
  let handle: FileHandle;
  try {
    handle = await open(file, 'r');
  } catch {
    return false;
  }
  try {
    const seal = `${head.hash}"}\n`;
    const bytes = Buffer.alloc(seal.length);
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, Math.max(0, end - bytes.length));
    return bytesRead === bytes.length && bytes.toString('latin1') === seal;
  } finally {
    await handle.close();
  }
}
