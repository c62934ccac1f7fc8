// Reads the audit log behind its writer: line by line from a given record on, over the ends of its files, never past what is on disk.

import { type FileHandle, open } from 'node:fs/promises';
import { segmentsOf } from '@sealpost/service';

const chunkLength = 64 * 1024;

export interface LogFollower {
  /** The next lines, at most `most`, up to record `until`; empty when there are none yet. */
  next(until: number, most: number): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** `after`: number of the last record that is not wanted. Records that are no longer here are passed over. */
export function followLog(file: string, after: number): LogFollower {
  let seq = after;
  let handle: FileHandle | undefined;
  let at = 0;
  let lines: string[] = [];
  let rest = Buffer.alloc(0);

  /** The last file that begins at or before the wanted record, else the first there is. */
  async function openNext(): Promise<boolean> {
    await handle?.close();
    handle = undefined;
    [at, lines, rest] = [0, [], Buffer.alloc(0)];
    for (const name of (await segmentsOf(file)).reverse()) {
      handle = await open(name, 'r');
      const first = await firstOf(handle);
      if (first !== undefined && first <= seq + 1) return true;
      if (name === (await segmentsOf(file))[0]) return first !== undefined;
      await handle.close();
      handle = undefined;
    }
    return false;
  }

  async function fill(): Promise<boolean> {
    if (!handle) return false;
    const chunk = Buffer.alloc(chunkLength);
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, at);
    if (bytesRead === 0) return false;
    at += bytesRead;
    rest = Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
    const end = rest.lastIndexOf(10);
    if (end < 0) return true;
    lines.push(...rest.toString('utf8', 0, end).split('\n'));
    rest = rest.subarray(end + 1);
    return true;
  }

  return {
    async next(until, most) {
      const found: string[] = [];
      let isReopened = false;
      while (found.length < most && seq < until) {
        const [line] = lines;
        if (line === undefined) {
          if (await fill()) continue;
          // The end of this file: the record stands in the next one, which began meanwhile.
          if (isReopened || !(await openNext())) break;
          isReopened = true;
          continue;
        }
        const number = seqOf(line);
        if (number !== undefined && number > until) break;
        lines.shift();
        if (number === undefined || number <= seq) continue;
        seq = number;
        found.push(line);
      }
      return found;
    },
    close: async () => handle?.close(),
  };
}

async function firstOf(handle: FileHandle): Promise<number | undefined> {
  const start = Buffer.alloc(64);
  const { bytesRead } = await handle.read(start, 0, start.length, 0);
  return seqOf(start.toString('latin1', 0, bytesRead));
}

function seqOf(line: string): number | undefined {
  const [, seq] = /^\{"v":\d+,"suite":\d+,"seq":(\d{1,15}),/.exec(line) ?? [];
  return seq === undefined ? undefined : Number(seq);
}
