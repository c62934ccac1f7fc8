// The files of one audit log: closed segments, named by the number of their first record, and the one that is written now. Every
// segment but the first begins with a checkpoint, so it can be verified, and kept elsewhere, without those before it.

import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { ChainHead } from './chain.ts';

const digits = 15;

/** Name of a closed segment of the log `file`. */
export function segmentName(file: string, first: number): string {
  return `${file}.${String(first).padStart(digits, '0')}`;
}

/** The segment that is about to become the one that is written. */
export function nextSegmentName(file: string): string {
  return `${file}.next`;
}

/** Closed segments of a log, oldest first. */
export async function closedSegments(file: string): Promise<string[]> {
  const [directory, start] = [dirname(file), `${basename(file)}.`];
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names
    .filter((name) => name.startsWith(start) && /^\d{15}$/.test(name.slice(start.length)))
    .sort()
    .map((name) => join(directory, name));
}

/** All files of a log that are there, oldest first. */
export async function segmentsOf(file: string): Promise<string[]> {
  return [...(await closedSegments(file)), ...(existsSync(file) ? [file] : [])];
}

/** What stands before a segment's first line, as that line says: nothing, or for a checkpoint what it signs. */
export function beforeSegment(firstLine: string): ChainHead | undefined {
  const [, seq, hash] =
    /^\{"v":\d+,"suite":\d+,"seq":(\d{1,15}),"at":"[^"]+","prev":"([0-9a-f]{64})","kind":"checkpoint",/.exec(
      firstLine,
    ) ?? [];
  return seq && hash ? { seq: Number(seq) - 1, hash } : undefined;
}
