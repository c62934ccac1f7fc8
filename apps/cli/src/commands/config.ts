// `sealpost config`: whether a configuration file is sound, and the reference of every setting.

import { ConfigError, loadConfig, renderReference } from '@sealpost/service';
import type { Command } from 'commander';
import { printJson } from '../output.ts';

export function addConfigCommands(program: Command): void {
  const config = program
    .command('config')
    .description('check a configuration file, show the reference of the settings');

  config
    .command('check <file>')
    .description('tell what is wrong with a configuration file')
    .option('--json', 'print one JSON value')
    .addHelpText('after', '\nExample:\n  sealpost config check /etc/sealpost.yaml')
    .action((file: string, { json }: { json?: boolean }) => {
      const error = errorOf(file);
      if (json) printJson({ ok: error === undefined, problems: error?.problems ?? [] });
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
