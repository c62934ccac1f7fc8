// `sealpost key-service`: whether the key store is open, and opening and sealing it.

import { createPrivateKey, type KeyObject } from 'node:crypto';
import { type KeyAdmin, type KeyAnswer, readShare, shareForService } from '@sealpost/service';
import type { Command } from 'commander';
import { type InstallationOptions, withInstallation } from '../installation.ts';
import { withKeyAdmin } from '../key-admin.ts';
import { printFacts, printJson } from '../output.ts';
import { readInput, readSecretInput } from '../read-input.ts';
import { addSlotCommands } from '../slot-commands.ts';
import { UsageError } from '../usage-error.ts';

type Options = InstallationOptions & { readonly json?: boolean };

interface UnsealOptions extends Options {
  readonly passphraseFile?: string;
  readonly shareFile?: string;
  readonly shareKey?: string;
  readonly shareKeyPassphraseFile?: string;
}

export function addKeyServiceCommands(program: Command): void {
  const keyService = program.command('key-service').description('the sealed key service: status, unseal, seal, slots');

  withInstallation(keyService.command('status'))
    .description('tell whether the key store is open, what opens it, and how many shares were handed in')
    .addHelpText('after', '\nExample:\n  sealpost key-service status --json')
    .action(async (options: Options) =>
      show(await withKeyAdmin(options, (admin) => admin.call('status', {})), options),
    );

  withInstallation(keyService.command('unseal'))
    .description('open the key store with a passphrase, or hand in a share')
    .option('--passphrase-file <file>', 'file that holds the passphrase; - for standard input')
    .option('--share-file <file>', "file that holds a custodian's share; - for standard input")
    .option('--share-key <file>', 'private key of the custodian, for a share that is sealed to it')
    .option('--share-key-passphrase-file <file>', 'file that holds the passphrase of that key')
    .addHelpText(
      'after',
      '\nExamples:\n  pass show sealpost | sealpost key-service unseal --passphrase-file - --config /etc/sealpost.yaml' +
        '\n  sealpost key-service unseal --share-file people-alice.share --share-key alice.pem --config /etc/sealpost.yaml',
    )
    .action(async (options: UnsealOptions) =>
      show(await withKeyAdmin(options, (admin) => unseal(admin, options)), options),
    );

  withInstallation(keyService.command('unseal-reset'))
    .description('forget the shares that were handed in so far')
    .addHelpText('after', '\nExample:\n  sealpost key-service unseal-reset --config /etc/sealpost.yaml')
    .action(async (options: Options) =>
      show(await withKeyAdmin(options, (admin) => admin.call('unseal-reset', {})), options),
    );

  withInstallation(keyService.command('seal'))
    .description('drop the root key at once; nothing is leased until the next unseal')
    .addHelpText('after', '\nExample:\n  sealpost key-service seal --config /etc/sealpost.yaml')
    .action(async (options: Options) => show(await withKeyAdmin(options, (admin) => admin.call('seal', {})), options));

  addSlotCommands(keyService);
}

async function unseal(admin: KeyAdmin, options: UnsealOptions): Promise<KeyAnswer<'status'>> {
  const { passphraseFile, shareFile } = options;
  if ((passphraseFile === undefined) === (shareFile === undefined)) {
    throw new UsageError('give one of --passphrase-file and --share-file');
  }
  if (passphraseFile !== undefined) return await admin.call('unseal', { passphrase: readSecretInput(passphraseFile) });
  const share = readShare(readSecretInput(shareFile ?? ''), custodianKey(options));
  const { unsealKey } = await admin.call('status', {});
  return await admin.call('unseal-share', { share: shareForService(share, unsealKey) });
}

function custodianKey({ shareKey, shareKeyPassphraseFile }: UnsealOptions): KeyObject | undefined {
  if (shareKey === undefined) return undefined;
  const passphrase =
    shareKeyPassphraseFile === undefined ? {} : { passphrase: readSecretInput(shareKeyPassphraseFile) };
  try {
    return createPrivateKey({ key: readInput(shareKey), ...passphrase });
  } catch {
    throw new UsageError(`${shareKey} is not a private key that this passphrase opens`);
  }
}

function show(status: KeyAnswer<'status'>, options: Options): void {
  if (options.json) {
    printJson(status);
    return;
  }
  const { sealed, reason, development, slots, risk, shares } = status;
  printFacts({
    sealed,
    reason,
    development,
    slots: slots.map(({ label, kind }) => (label === kind ? label : `${label} (${kind})`)).join(', '),
    risk: risk && 'one slot only: losing its secret loses every key',
    ...Object.fromEntries(
      shares.map(({ slot, have, need, of }) => [`shares for ${slot}`, `${have} of ${need} needed, ${of} exist`]),
    ),
  });
}
