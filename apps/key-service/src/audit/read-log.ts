// Reads an audit log from its start, checks the chain, and tells what a crash tore from what somebody changed: a write that was
// cut short leaves one line without an end, or blocks of zeros where the disk had not yet been; both only at the very end.

import { type FileHandle, open } from 'node:fs/promises';
import { type ChainHead, chainStart, followLine, maxLine } from './chain.ts';

/** One group of records goes to disk at once; a torn write is never longer. */
export const maxGroupBytes = 1024 * 1024;
const readLength = 1024 * 1024;

export type LogState =
  /** Whole, or with a torn end after `end`, `torn` bytes long. */
  | { readonly kind: 'genuine'; readonly head: ChainHead; readonly end: number; readonly torn: number }
  /** The line after `head` was changed, or lines before it were taken out or reordered. */
  | { readonly kind: 'tampered'; readonly head: ChainHead };

/** Reads the whole log; a file that is not there is an empty one. */
export async function readLog(file: string): Promise<LogState> {
  let handle: FileHandle;
  try {
    handle = await open(file, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      return { kind: 'genuine', head: chainStart, end: 0, torn: 0 };
    throw error;
  }
  try {
    return await follow(handle);
  } finally {
    await handle.close();
  }
}

async function follow(handle: FileHandle): Promise<LogState> {
  const { size } = await handle.stat();
  let head = chainStart;
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
      const next = followLine(rest.toString('utf8', from, feed), head);
      if (!next) return await tornOrTampered(handle, head, end, size);
      head = next;
      end += feed + 1 - from;
      from = feed + 1;
    }
    rest = rest.subarray(from);
    if (rest.length > maxLine) return await tornOrTampered(handle, head, end, size);
  }
  return { kind: 'genuine', head, end, torn: size - end };
}

/** A line that does not follow is torn only if everything from it on fits into one group and holds a block that was never written. */
async function tornOrTampered(handle: FileHandle, head: ChainHead, end: number, size: number): Promise<LogState> {
  if (size - end <= maxGroupBytes) {
    const tail = Buffer.alloc(size - end);
    await handle.read(tail, 0, tail.length, end);
    if (tail.includes(0)) return { kind: 'genuine', head, end, torn: size - end };
  }
  return { kind: 'tampered', head };
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
