// The file under the audit log. A seam because disks hang and fill: tests put one under the journal that does.

import { mkdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface Sink {
  write(bytes: Buffer, at: number): Promise<void>;
  /** Resolves when everything written is on disk. */
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  close(): Promise<void>;
}

/** Opens or makes the file, readable by its owner only, and makes its name durable. */
export async function fileSink(file: string): Promise<Sink> {
  const directory = dirname(file);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const handle = await open(file, 'a', 0o600).then(async (made) => {
    await made.close();
    return await open(file, 'r+');
  });
  const parent = await open(directory, 'r');
  await parent.sync().finally(() => parent.close());
  return {
    async write(bytes, at) {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at + done);
        if (bytesWritten === 0) throw new Error('no progress');
        done += bytesWritten;
      }
    },
    sync: () => handle.datasync(),
    truncate: (length) => handle.truncate(length),
    close: () => handle.close(),
  };
}
