// `sealpost key-service`: whether the key store is open, and opening and sealing it.

import type { KeyAnswer } from '@sealpost/service';
import type { Command } from 'commander';
import { type InstallationOptions, withInstallation } from '../installation.ts';
import { withKeyAdmin } from '../key-admin.ts';
import { printFacts, printJson } from '../output.ts';
import { readSecretInput } from '../read-input.ts';

type Options = InstallationOptions & { readonly json?: boolean };

export function addKeyServiceCommands(program: Command): void {
  const keyService = program.command('key-service').description('the sealed key service: status, unseal, seal');

  withInstallation(keyService.command('status'))
    .description('tell whether the key store is open')
    .addHelpText('after', '\nExample:\n  sealpost key-service status --json')
    .action(async (options: Options) =>
      show(await withKeyAdmin(options, (admin) => admin.call('status', {})), options),
    );

  withInstallation(keyService.command('unseal'))
    .description('open the key store with its passphrase')
    .requiredOption('--passphrase-file <file>', 'file that holds the passphrase; - for standard input')
    .addHelpText(
      'after',
      '\nExample:\n  pass show sealpost | sealpost key-service unseal --passphrase-file - --config /etc/sealpost.yaml',
    )
    .action(async (options: Options & { passphraseFile: string }) => {
      const passphrase = readSecretInput(options.passphraseFile);
      show(await withKeyAdmin(options, (admin) => admin.call('unseal', { passphrase })), options);
    });

  withInstallation(keyService.command('seal'))
    .description('drop the root key at once; nothing is leased until the next unseal')
    .addHelpText('after', '\nExample:\n  sealpost key-service seal --config /etc/sealpost.yaml')
    .action(async (options: Options) => show(await withKeyAdmin(options, (admin) => admin.call('seal', {})), options));
}

function show(status: KeyAnswer<'status'>, options: Options): void {
  if (options.json) {
    printJson(status);
    return;
  }
  const { sealed, reason, development, slots } = status;
  printFacts({ sealed, reason, development, slots: slots.join(', ') });
}
