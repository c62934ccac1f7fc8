// Which installation a command means: `--dir DIR` for one that `sealpost up` runs, `--config FILE` for any other; else what
// SEALPOST_CONFIG names, as in a container; by default the one that `npm start` keeps in .sealpost.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { configFileVariable, type Installation, loadConfig } from '@sealpost/service';
import type { Command } from 'commander';
import { layoutOf, projectRoot } from './up/layout.ts';
import { UsageError } from './usage-error.ts';

/** State directory of `npm start`. */
export const defaultDirectory = join(projectRoot, '.sealpost');

export interface InstallationOptions {
  readonly dir?: string;
  readonly config?: string;
  /** Path of a person's credential without `.crt` and `.key`. */
  readonly as?: string;
  readonly asPassphraseFile?: string;
}

/** Adds these options, and `--json`, to a command. */
export function withInstallation(command: Command): Command {
  return command
    .option('--dir <dir>', 'state directory of an installation that `sealpost up` runs')
    .option('--config <file>', 'configuration file of an installation')
    .option(
      '--as <path>',
      "whose credential is shown to the key service: PATH.crt and PATH.key; by default the operator's",
    )
    .option('--as-passphrase-file <file>', 'file that holds the passphrase of PATH.key')
    .option('--json', 'print one JSON value');
}

/** Path of the configuration file that the options mean. */
export function configFileOf({ dir, config }: InstallationOptions): string {
  const named = config ?? (dir === undefined ? process.env[configFileVariable] : undefined);
  const file = named ?? layoutOf(dir ?? defaultDirectory).config;
  if (!existsSync(file)) {
    throw new UsageError(
      `there is no installation at ${file}; start one with \`sealpost up --dir DIR\`, or name its file with --config FILE`,
    );
  }
  return file;
}

export function installationOf(options: InstallationOptions): Installation {
  return loadConfig(configFileOf(options));
}
