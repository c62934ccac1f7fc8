// `sealpost trust`: the certification authorities whose certificates a tenant believes.

import type { KeyAnswer } from '@sealpost/service';
import type { Command } from 'commander';
import { type InstallationOptions, withInstallation } from '../installation.ts';
import { withKeyAdmin } from '../key-admin.ts';
import { printJson, printTable } from '../output.ts';
import { readInput } from '../read-input.ts';

type Anchors = KeyAnswer<'trust-list'>['anchors'];
type Options = InstallationOptions & { readonly json?: boolean; readonly tenant?: string };

export function addTrustCommands(program: Command): void {
  const trust = program.command('trust').description('certification authorities that a tenant believes');

  withInstallation(trust.command('add <file>'))
    .description('trust the CA certificates of a file (PEM or DER)')
    .option('--tenant <id>', 'for which tenant, where there are several')
    .addHelpText('after', '\nExample:\n  sealpost trust add partner-ca.pem --tenant alpha-test')
    .action(async (file: string, options: Options) => {
      const { anchors } = await withKeyAdmin(options, (admin) =>
        admin.call('trust-add', { file: readInput(file), ...tenantOf(options) }),
      );
      show(anchors, options);
    });

  withInstallation(trust.command('list'))
    .description('list the trusted CA certificates')
    .option('--tenant <id>', 'of this tenant only')
    .addHelpText('after', '\nExample:\n  sealpost trust list')
    .action(async (options: Options) => {
      const { anchors } = await withKeyAdmin(options, (admin) => admin.call('trust-list', tenantOf(options)));
      show(anchors, options);
    });
}

function tenantOf({ tenant }: Options): { tenant?: string } {
  return tenant === undefined ? {} : { tenant };
}

function show(anchors: Anchors, options: Options): void {
  if (options.json) {
    printJson(anchors);
    return;
  }
  printTable(
    ['tenant', 'subject', 'own', 'valid until', 'SHA-256'],
    anchors.map(({ tenant, subject, own, notAfter, fingerprint }) => [
      tenant,
      subject,
      own ? 'yes' : 'no',
      notAfter.toISOString().slice(0, 10),
      fingerprint.slice(0, 16),
    ]),
  );
}
