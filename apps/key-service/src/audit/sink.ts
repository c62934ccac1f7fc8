// The files under the audit log. A seam because disks hang, fill and vanish: tests put one under the journal that does.

import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { nextSegmentName, segmentName } from '@sealpost/service';

export interface Sink {
  write(bytes: Buffer, at: number): Promise<void>;
  /** Resolves when everything written is on disk. */
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  /** Closes the file as the segment that begins with record `first` and goes on in a new one that begins with `bytes`, on disk. */
  rotate(first: number, bytes: Buffer): Promise<void>;
  close(): Promise<void>;
}

/** Opens or makes the file, readable by its owner only, and makes its name durable. */
export async function fileSink(file: string): Promise<Sink> {
  const directory = dirname(file);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  let handle = await openFile(file);
  await syncDirectory(directory);
  return {
    write: (bytes, at) => writeAll(handle, bytes, at),
    async sync() {
      await handle.datasync();
      // A log that was moved away or removed takes what is written along with it.
      const [own, named] = await Promise.all([handle.stat(), stat(file)]);
      if (own.ino !== named.ino || own.dev !== named.dev) throw new Error('the audit log is not where it was');
    },
    truncate: (length) => handle.truncate(length),
    async rotate(first, bytes) {
      const next = nextSegmentName(file);
      const fresh = await openFile(next);
      try {
        await fresh.truncate(0);
        await writeAll(fresh, bytes, 0);
        await fresh.datasync();
        // Between the two there is no file by the log's name; finishRotation knows what to do then. Done before, it is not done again.
        if (!existsSync(segmentName(file, first))) renameSync(file, segmentName(file, first));
        renameSync(next, file);
        await syncDirectory(directory);
      } catch (error) {
        await fresh.close();
        throw error;
      }
      await handle.close();
      handle = fresh;
    },
    close: () => handle.close(),
  };
}

/** What a crash between the steps of `rotate` left is brought to its end, or taken back. */
export function finishRotation(file: string): void {
  const next = nextSegmentName(file);
  if (!existsSync(next)) return;
  if (existsSync(file)) rmSync(next);
  else renameSync(next, file);
}

async function openFile(file: string): Promise<FileHandle> {
  const made = await open(file, 'a', 0o600);
  await made.close();
  return await open(file, 'r+');
}

async function writeAll(handle: FileHandle, bytes: Buffer, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at + done);
    if (bytesWritten === 0) throw new Error('no progress');
    done += bytesWritten;
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const parent = await open(directory, 'r');
  await parent.sync().finally(() => parent.close());
}
