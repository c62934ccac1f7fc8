// `sealpost explain`: what the gateway would do with a message, and why. The crypto worker answers, because it is the one who decides.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { configFileOf, type InstallationOptions, withInstallation } from '../installation.ts';
import { projectRoot } from '../up/layout.ts';
import { UsageError } from '../usage-error.ts';

interface Options extends InstallationOptions {
  readonly json?: boolean;
  readonly from: string;
  readonly to: readonly string[];
  readonly direction?: string;
}

export function addExplainCommand(program: Command): void {
  withInstallation(program.command('explain <file>'))
    .description('print every fact about a message and the decision')
    .requiredOption('--from <address>', 'envelope sender; empty for the null sender')
    .requiredOption('--to <address...>', 'envelope recipients')
    .option('--direction <direction>', 'outbound or inbound; left out: outbound if the sender is of a domain of ours')
    .addHelpText(
      'after',
      '\nExample:\n  sealpost explain offer.eml --from alice@alpha.test --to bob@beta.test carol@gamma.test',
    )
    .action((file: string, options: Options) => {
      if (!existsSync(file)) throw new UsageError(`there is no file ${file}`);
      const run = spawnSync(
        process.execPath,
        [
          join(projectRoot, 'apps/crypto-worker/src/main.ts'),
          ...['--config', configFileOf(options), '--explain', resolve(file), '--from', options.from],
          ...options.to.flatMap((address) => ['--to', address]),
          ...(options.direction === undefined ? [] : ['--direction', options.direction]),
          ...(options.json ? ['--json'] : []),
        ],
        { stdio: 'inherit' },
      );
      process.exitCode = run.status ?? 1;
    });
}
