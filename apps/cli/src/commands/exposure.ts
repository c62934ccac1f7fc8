// `sealpost exposure`: which keys a worker held, for the day on which one is found to be taken over.

import { findExposure } from '@sealpost/service';
import type { Command } from 'commander';
import { toDate } from '../arguments.ts';
import { type InstallationOptions, withInstallation } from '../installation.ts';
import { printJson, printTable } from '../output.ts';
import { logOf, warnIfTampered } from './audit.ts';

type Options = InstallationOptions & {
  readonly json?: boolean;
  readonly file?: string;
  readonly worker: string;
  readonly from: Date;
  readonly to: Date;
};

export function addExposureCommand(program: Command): void {
  withInstallation(program.command('exposure'))
    .description('tell which keys a worker held between two times, from the audit log')
    .requiredOption('--worker <name>', 'process, certificate name, or SHA-256 of a certificate')
    .requiredOption('--from <time>', 'ISO 8601', toDate)
    .requiredOption('--to <time>', 'ISO 8601', toDate)
    .option('--file <file>', "log file; by default the installation's own")
    .addHelpText(
      'after',
      '\nExample:\n  sealpost exposure --worker default --from 2026-06-01 --to 2026-06-02T12:00:00Z',
    )
    .action(async (options: Options) => {
      const { worker, from, to } = options;
      const { exposures, log } = await findExposure(logOf(options), worker, from, to);
      if (options.json) printJson({ log, worker, from, to, keys: exposures });
      else {
        printTable(
          ['key', 'since', 'until', 'leases', 'messages'],
          exposures.map(({ key, since, until, leases, messages }) => [
            key,
            since,
            until,
            String(leases),
            String(messages.length),
          ]),
        );
      }
      warnIfTampered(log);
    });
}
