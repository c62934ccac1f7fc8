// `sealpost leases`: which workers hold keys now, and calling keys back before their lease ends.

import type { Command } from 'commander';
import { orUsage } from '../arguments.ts';
import { type InstallationOptions, withInstallation } from '../installation.ts';
import { withKeyAdmin } from '../key-admin.ts';
import { printJson, printTable } from '../output.ts';
import { UsageError } from '../usage-error.ts';

type Options = InstallationOptions & { readonly json?: boolean };

export function addLeaseCommands(program: Command): void {
  const leases = program.command('leases').description('private keys that workers hold: list, revoke');

  withInstallation(leases.command('list'))
    .description('show who holds how many keys, and who has not dropped one that was called back')
    .addHelpText('after', '\nExample:\n  sealpost leases list --config /etc/sealpost.yaml')
    .action(async (options: Options) => {
      const found = await withKeyAdmin(options, (admin) => admin.call('lease-list', {}));
      if (options.json) {
        printJson(found);
        return;
      }
      printTable(
        ['process', 'certificate', 'leases'],
        found.held.map(({ instance, name, leases: held }) => [instance, name, String(held)]),
      );
      if (found.revoked.length === 0) return;
      process.stdout.write('\n');
      printTable(
        ['called back', 'at', 'not dropped by'],
        found.revoked.map(({ keyId, worker, at, awaited }) => [
          keyId ?? `all of ${worker ?? ''}`,
          at.toISOString(),
          awaited.map(({ instance }) => instance).join(' ') || '-',
        ]),
      );
    });

  withInstallation(leases.command('revoke'))
    .description('call keys back from the workers that hold them')
    .option('--key <id>', 'every lease of this key')
    .option('--worker <name>', 'every lease of this worker: process, certificate name, or SHA-256 of a certificate')
    .addHelpText(
      'after',
      `
Workers drop the keys at once and say so; one that does not gets no more. What a dishonest worker copied stays copied.

Example:
  sealpost leases revoke --key alpha/alice%40example.org/signing/1 --config /etc/sealpost.yaml`,
    )
    .action((options: Options & { key?: string; worker?: string }, command: Command) =>
      orUsage(command, async () => {
        const { key, worker, json } = options;
        if ((key === undefined) === (worker === undefined)) throw new UsageError('give either --key or --worker');
        const what = { ...(key === undefined ? {} : { keyId: key }), ...(worker === undefined ? {} : { worker }) };
        const { holders } = await withKeyAdmin(options, (admin) => admin.call('lease-revoke', what));
        if (json) printJson({ holders });
        else
          printTable(
            ['process', 'certificate'],
            holders.map(({ instance, name }) => [instance, name]),
          );
      }),
    );
}
