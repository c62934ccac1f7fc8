// Backups of a running service by themselves: made when the newest is older than the configuration says, and their age and that of
// the last drill shown, so that both are missed.

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, fail, type Log } from '@sealpost/core';
import type { KeyServerConfig } from '@sealpost/service';
import type { Keeper } from '../keeper.ts';
import { type DrillReport, lastDrill } from './drill.ts';
import { backupSuffix } from './make-backup.ts';
import { pruneBackups } from './prune-backups.ts';

/** How often it is looked whether a backup is due; also how long what was read from the directory serves. */
const lookEveryMs = 60_000;

interface BackupAges {
  /** Seconds since the newest backup, and since the last drill that passed; since 1970 when there was none. */
  readonly backup: number;
  readonly drill: number;
}

export interface Backups {
  /** Error: `key-service-sealed`, while nobody can judge reports, and where no backup is configured. */
  ages(): BackupAges;
  stop(): void;
}

export function keepBackups(config: KeyServerConfig['backup'], keeper: Keeper, log: Log, clock: Clock): Backups {
  const { directory, everyHours } = config;
  const unknown = (): never => {
    throw fail('key-service-sealed');
  };
  if (directory === undefined) return { ages: unknown, stop: () => undefined };
  let read: { readonly at: number; readonly backup: number; readonly drill: number } | undefined;
  let isMaking = false;

  function look(place: string): { readonly backup: number; readonly drill: number } {
    const now = clock.now().getTime();
    if (read && now - read.at < lookEveryMs) return read;
    read = { at: now, backup: newestBackup(place), drill: new Date(drilled(place)?.at ?? 0).getTime() };
    return read;
  }

  function drilled(place: string): DrillReport | undefined {
    try {
      return lastDrill(place, keeper.auditKey());
    } catch {
      return undefined;
    }
  }

  async function makeIfDue(place: string): Promise<void> {
    const now = clock.now().getTime();
    if (isMaking || keeper.isSealed() || now - newestBackup(place) < everyHours * 3_600_000) return;
    isMaking = true;
    try {
      const { bytes } = await keeper.backUp();
      log.event('backup.made', { bytes });
      const count = pruneBackups(place, config, drilled(place)?.backup.createdAt, clock.now());
      if (count > 0) log.event('backup.removed', { count });
    } catch (error) {
      log.event('backup.failed', error instanceof Error ? { error } : {});
    } finally {
      isMaking = false;
      read = undefined;
    }
  }

  const timer = setInterval(() => void makeIfDue(directory), lookEveryMs);
  timer.unref();
  return {
    ages() {
      if (keeper.isSealed()) return unknown();
      const { backup, drill } = look(directory);
      const now = clock.now().getTime();
      return { backup: (now - backup) / 1000, drill: (now - drill) / 1000 };
    },
    stop: () => clearInterval(timer),
  };
}

/** Milliseconds since 1970; 0 without any. */
function newestBackup(directory: string): number {
  try {
    const names = readdirSync(directory).filter((name) => name.endsWith(backupSuffix));
    return Math.max(0, ...names.map((name) => statSync(join(directory, name)).mtimeMs));
  } catch {
    return 0;
  }
}
