// `sealpost keys add-hsm`: a key that was made in the PKCS#11 token, and stays there, is a person's from now on.

import type { Command } from 'commander';
import { orUsage } from '../arguments.ts';
import { type InstallationOptions, withInstallation } from '../installation.ts';
import { withKeyAdmin } from '../key-admin.ts';
import { printJson, printTable } from '../output.ts';
import { readInput } from '../read-input.ts';
import { UsageError } from '../usage-error.ts';

interface Options extends InstallationOptions {
  readonly json?: boolean;
  readonly label?: string;
  readonly id?: string;
  readonly address?: string;
  readonly cert?: string;
  readonly use?: 'signing' | 'decryption';
}

/** Adds it to `sealpost keys`. */
export function addHsmCommand(keys: Command): void {
  withInstallation(keys.command('add-hsm'))
    .description('take a key of the PKCS#11 token into use with its certificate, or have it wait for one')
    .option('--label <label>', 'CKA_LABEL of the private key')
    .option('--id <hex>', 'CKA_ID of the private key')
    .option('--address <address>', 'take only what names this address; without a certificate: whose key it is')
    .option('--cert <file>', 'its certificate and the issuers, PEM or DER; without it the key waits for one')
    .option('--use <use>', 'of a key that waits: signing or decryption; both without this')
    .addHelpText(
      'after',
      '\nExamples:\n  sealpost keys add-hsm --label alice --cert alice.pem --as ~/sealpost/carla' +
        '\n  sealpost keys add-hsm --label alice --address alice@example.org',
    )
    .action((options: Options, command: Command) =>
      orUsage(command, async () => {
        const { label, id, address, cert, use, json } = options;
        if (label === undefined && id === undefined) throw new UsageError('give --label, --id, or both');
        if (cert === undefined && address === undefined) throw new UsageError('give --cert, or --address');
        const { imported, waiting } = await withKeyAdmin(options, (admin) =>
          admin.call('keys-add-token', {
            ...(label === undefined ? {} : { label }),
            ...(id === undefined ? {} : { id: id.toLowerCase() }),
            ...(address === undefined ? {} : { address }),
            ...(cert === undefined ? {} : { file: readInput(cert) }),
            ...(use === undefined ? {} : { use }),
          }),
        );
        if (json) printJson({ imported, waiting });
        else if (cert === undefined)
          printTable(
            ['waits for its certificate'],
            waiting.map((key) => [key]),
          );
        else
          printTable(
            ['address', 'use', 'key', 'certificate'],
            imported.flatMap(({ address: of, certificates }) =>
              certificates.map(({ use, keyId, fingerprint }) => [of, use, keyId ?? '', fingerprint]),
            ),
          );
      }),
    );
}
