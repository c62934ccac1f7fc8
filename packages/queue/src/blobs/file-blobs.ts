// Sealed bytes as files: for one machine, or a volume that all processes share. A name appears only when its bytes are on disk:
// temporary file, fdatasync, rename (or link, where the first writer wins), fsync of the directory (POSIX rename(2), fsync(2)).

import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { link, mkdir, open, readdir, readFile, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fail, SealpostError } from '@sealpost/core';
import { checkedBlobId, isBlobId, type SpoolBlobs } from './spool-blobs.ts';

/** No write takes this long: an older temporary file belongs to a process that died. A younger one may be another process's. */
const staleTemporaryMs = 10 * 60_000;
/** 256 directories keep each one short at a million messages. */
const fans = Array.from({ length: 256 }, (_, index) => index.toString(16).padStart(2, '0'));

/** Opens the store under `directory`, makes what is missing and removes what dead processes left half written. */
export async function fileBlobs(directory: string): Promise<SpoolBlobs> {
  const temporary = join(directory, 'tmp');
  await mapped(async () => {
    for (const name of ['tmp', ...fans]) await mkdir(join(directory, name), { recursive: true, mode: 0o700 });
    await syncDirectory(directory);
    await removeStale(temporary);
  });

  const folderOf = (id: string): string => join(directory, fan(checkedBlobId(id)));
  const pathOf = (id: string): string => join(folderOf(id), id);

  /** Writes the bytes durably under a temporary name and lets `publish` give them their own, which ends the temporary one. */
  async function write(id: string, bytes: Buffer, publish: (from: string, to: string) => Promise<void>): Promise<void> {
    const from = join(temporary, `${id}.${randomBytes(8).toString('hex')}`);
    try {
      const file = await open(from, 'wx', 0o600);
      try {
        await file.writeFile(bytes);
        await file.datasync();
      } finally {
        await file.close();
      }
      await publish(from, pathOf(id));
    } catch (error) {
      await unlinkIfThere(from);
      throw error;
    }
    await syncDirectory(folderOf(id));
  }

  return {
    put: (id, bytes) => mapped(() => write(checkedBlobId(id), bytes, rename)),
    putOnce: (id, bytes) =>
      mapped(async () => {
        let kept = bytes;
        await write(checkedBlobId(id), bytes, async (from, to) => {
          if (!(await linked(from, to))) kept = await readFile(to);
          await unlinkIfThere(from);
        });
        return kept;
      }),
    get: (id) => mapped(() => orElse(readFile(pathOf(id)), undefined)),
    size: (id) => mapped(async () => (await orElse(stat(pathOf(id)), undefined))?.size ?? 0),
    remove: (id) => mapped(() => unlinkIfThere(pathOf(id))),
    async *olderThan(time) {
      for (const name of fans) {
        const folder = join(directory, name);
        for (const id of await mapped(() => readdir(folder))) {
          const file = await mapped(() => orElse(stat(join(folder, id)), undefined));
          if (file && file.mtime < time && isBlobId(id)) yield id;
        }
      }
    },
    async close() {},
  };
}

/** Ids begin with a time, so their hash spreads them. */
function fan(id: string): string {
  return createHash('sha256').update(id).digest('hex').slice(0, 2);
}

/** Like rename, but the first writer keeps the name: link(2) fails where one exists. */
async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (codeIs(error, 'EEXIST')) return false;
    throw error;
  }
}

/** A new name is durable only when its directory is. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function removeStale(temporary: string): Promise<void> {
  for (const name of await readdir(temporary)) {
    const file = await orElse(stat(join(temporary, name)), undefined);
    if (file && Date.now() - file.mtimeMs > staleTemporaryMs) await unlinkIfThere(join(temporary, name));
  }
}

const unlinkIfThere = (path: string): Promise<void> => orElse(unlink(path), undefined);

/** The value, or `otherwise` for a file that does not exist. */
async function orElse<T, U>(value: Promise<T>, otherwise: U): Promise<T | U> {
  try {
    return await value;
  } catch (error) {
    if (codeIs(error, 'ENOENT')) return otherwise;
    throw error;
  }
}

async function mapped<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SealpostError) throw error;
    throw fail(codeIs(error, 'ENOSPC') || codeIs(error, 'EDQUOT') ? 'queue-full' : 'blob-unavailable', error);
  }
}

function codeIs(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
