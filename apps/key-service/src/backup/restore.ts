// Puts a backup's store in its place, on a machine that has none. The custodians bring the backup's key by its shares, and a signed
// head of the audit log that they held elsewhere: a store that is older than that head is an old state put back, with keys that were
// destroyed since and none that were made, and is refused unless they name the loss.

import { createPublicKey } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SetupError } from '@sealpost/core';
import { type Installation, isGenuineHead, parseHead, type SignedHead } from '@sealpost/service';
import { putCopy } from '../store/copy.ts';
import { openDatabase } from '../store/sqlite-database.ts';
import { databaseFile, storeExists } from '../store/sqlite-file.ts';
import { type Backup, openBackup } from './backup-file.ts';
import { writeDurably } from './make-backup.ts';
import { joinShares } from './quorum.ts';

export interface BackupKeys {
  readonly recipientFile: string;
  readonly shareFiles: readonly string[];
}

/** What the custodians hold: `sealpost audit head --json`. */
export interface Checkpoint {
  /** The head as it is written down. */
  readonly text: string;
  readonly head: SignedHead;
  readonly key: string;
}

/** Throws SetupError for a file that is no backup, shares that do not open it, or one that was changed. */
export async function readBackup(file: string, { recipientFile, shareFiles }: BackupKeys): Promise<Backup> {
  const shares = shareFiles.map((share) => readFileSync(share, 'utf8'));
  const privateKey = await joinShares(readFileSync(recipientFile, 'utf8'), shares);
  try {
    return openBackup(readFileSync(file), privateKey);
  } catch (error) {
    throw new SetupError(`${file} is not a whole backup that this key opens`, { cause: error });
  }
}

/** Throws SetupError for a file that is none, or was not signed by the key that it names. */
export function readCheckpoint(file: string): Checkpoint {
  const refuse = (): never => {
    throw new SetupError(`${file} is not a head that \`sealpost audit head --json\` gave out`);
  };
  let found: { head?: unknown; key?: unknown };
  try {
    found = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return refuse();
  }
  const head = typeof found.head === 'string' ? parseHead(found.head) : undefined;
  const { head: text, key } = found;
  const isWhole = typeof text === 'string' && typeof key === 'string';
  return isWhole && head && signs(key, head) ? { text, head, key } : refuse();
}

function signs(key: string, head: SignedHead): boolean {
  try {
    return isGenuineHead(head, createPublicKey({ key: Buffer.from(key, 'base64'), format: 'der', type: 'spki' }));
  } catch {
    return false;
  }
}

/**
 * Records that the checkpoint has and the backup has not: without end when a new log was begun between them. SetupError when they
 * are of different stores.
 */
export function missingRecords({ manifest }: Backup, checkpoint: Checkpoint): number {
  const head = parseHead(manifest.head);
  if (!head || manifest.key !== checkpoint.key)
    throw new SetupError('the checkpoint and the backup are of different stores');
  return head.log === checkpoint.head.log ? Math.max(0, checkpoint.head.seq - head.seq) : Number.POSITIVE_INFINITY;
}

export interface RestoreOptions {
  readonly checkpoint: Checkpoint;
  /** How many records the custodians know to be lost. */
  readonly acceptLoss: number;
}

/** SetupError when there is a store already, or the backup lacks more than was accepted. */
export function assertRestorable(
  backup: Backup,
  { keyServer: { directory } }: Installation,
  { checkpoint, acceptLoss }: RestoreOptions,
): void {
  if (storeExists(directory)) throw new SetupError(`there is a key store in ${directory}; restore to an empty place`);
  const missing = missingRecords(backup, checkpoint);
  if (missing > acceptLoss)
    throw new SetupError(
      Number.isFinite(missing)
        ? `the backup is older than the checkpoint: ${missing} audit records were written after it. Use a later backup, or accept the loss by its number: --accept-loss ${missing}`
        : 'the audit log was begun anew between the backup and the checkpoint. Use a later backup, or accept the loss: --accept-loss all',
    );
}

/** Writes the store. SetupError as above. */
export async function restoreStore(backup: Backup, config: Installation, options: RestoreOptions): Promise<void> {
  assertRestorable(backup, config, options);
  const { directory } = config.keyServer;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (backup.manifest.v === 1) writeDurably(join(directory, databaseFile), backup.store);
  else await putInto(directory, backup.store);
}

/** One commit: a restore that is cut short leaves an empty store. */
async function putInto(directory: string, copy: Buffer): Promise<void> {
  const database = await openDatabase(directory, true);
  try {
    await putCopy(database, copy);
  } finally {
    await database.close();
  }
}
