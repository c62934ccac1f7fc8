// Where an installation that `sealpost up` runs keeps what, under its one state directory.

import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** Root of the checkout: processes are started from here. */
export const projectRoot = resolve(import.meta.dirname, '../../../..');

export interface Layout {
  readonly root: string;
  readonly config: string;
  readonly redis: string;
  readonly spool: string;
  readonly keys: string;
  readonly credentials: string;
  readonly secrets: string;
  readonly logs: string;
  readonly run: string;
}

export function layoutOf(directory: string): Layout {
  const root = resolve(directory);
  const inside = (name: string): string => join(root, name);
  return {
    root,
    config: inside('config.yaml'),
    redis: inside('redis'),
    spool: inside('spool'),
    keys: inside('keys'),
    credentials: inside('credentials'),
    secrets: inside('secrets'),
    logs: inside('log'),
    run: inside('run'),
  };
}

/** Makes the directories, readable by their owner only. */
export function makeLayout(layout: Layout): void {
  const { root, redis, spool, keys, credentials, secrets, logs, run } = layout;
  for (const directory of [root, redis, spool, keys, credentials, secrets, logs, run]) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  }
}
