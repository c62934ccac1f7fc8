// Takes away the oldest backups. The newest stays, and so does the one that the last drill restored: until another one passed, it is the
// only one that is known to be good.

import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { KeyServerConfig } from '@sealpost/service';
import { backupName, backupSuffix } from './make-backup.ts';

const dayMs = 86_400_000;

type Limits = Pick<KeyServerConfig['backup'], 'keep' | 'keepDays'>;

/** Removes what is beyond every limit that is set; how many. `drilled`: when the backup of the last drill that passed was made. */
export function pruneBackups(directory: string, limits: Limits, drilled: string | undefined, now: Date): number {
  const { keep, keepDays } = limits;
  if (keep === undefined && keepDays === undefined) return 0;
  const good = drilled === undefined ? undefined : backupName(new Date(drilled));
  // Names are times.
  const [, ...older] = readdirSync(directory)
    .filter((name) => name.endsWith(backupSuffix))
    .sort()
    .reverse();
  const removed = older
    .filter((_, at) => keep === undefined || at + 1 >= keep)
    .map((name) => ({ name, file: join(directory, name) }))
    .filter(({ file }) => keepDays === undefined || now.getTime() - statSync(file).mtimeMs > keepDays * dayMs)
    .filter(({ name }) => name !== good);
  for (const { file } of removed) rmSync(file, { force: true });
  return removed.length;
}
