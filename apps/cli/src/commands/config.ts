// `sealpost config`: whether a configuration file is sound, and the reference of every setting.

import { ConfigError, configFileVariable, loadConfig, renderReference } from '@sealpost/service';
import type { Command } from 'commander';
import { printJson } from '../output.ts';

export function addConfigCommands(program: Command): void {
  const config = program
    .command('config')
    .description('check a configuration file, show the reference of the settings');

  const check = config
    .command('check [file]')
    .description(`tell what is wrong with a configuration file; by default the one that ${configFileVariable} names`)
    .option('--json', 'print one JSON value')
    .addHelpText(
      'after',
      `
Each problem is one line, FILE:LINE:COLUMN: KEY: what is wrong and what is allowed. Exit code 0: the file is sound; 1: it is not, or
cannot be read; 2: the command line is wrong. Variables of the environment are filled in as a process would fill them.

Examples:
  sealpost config check /etc/sealpost.yaml
  sealpost config check --json /etc/sealpost.yaml`,
    )
    .action((given: string | undefined, { json }: { json?: boolean }) => {
      const file = given ?? process.env[configFileVariable];
      if (file === undefined) return check.error(`error: name a file, or set ${configFileVariable}`);
      const error = errorOf(file);
      if (json) printJson({ ok: error === undefined, file, problems: error?.problems ?? [] });
      else process.stdout.write(`${error?.message ?? `${file}: ok`}\n`);
      if (error) process.exitCode = 1;
    });

  config
    .command('reference')
    .description('print every setting with type, default and meaning, as Markdown')
    .addHelpText('after', '\nExample:\n  sealpost config reference > configuration.md')
    .action(() => void process.stdout.write(renderReference()));
}

function errorOf(file: string): ConfigError | undefined {
  try {
    loadConfig(file);
    return undefined;
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}
