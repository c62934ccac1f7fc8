// `sealpost identity`: the people of a tenant whose keys the key service holds.

import { X509Certificate } from 'node:crypto';
import {
  type DecryptionAlgorithm,
  decryptionAlgorithms,
  type KeyAnswer,
  type SigningAlgorithm,
  signingAlgorithms,
} from '@sealpost/service';
import { type Command, Option } from 'commander';
import { type InstallationOptions, withInstallation } from '../installation.ts';
import { withKeyAdmin } from '../key-admin.ts';
import { printJson, printTable } from '../output.ts';

type Identity = KeyAnswer<'identity-add'>;
type AddOptions = Options & {
  readonly algorithm: SigningAlgorithm;
  readonly decryptionAlgorithm?: DecryptionAlgorithm;
  readonly name?: string;
  readonly single?: boolean;
};
type Options = InstallationOptions & { readonly json?: boolean; readonly tenant?: string };

export function addIdentityCommands(program: Command): void {
  const identity = program.command('identity').description('people whose keys the key service holds');

  withInstallation(identity.command('add <address>'))
    .description('make keys and certificates for an address of a tenant')
    .addOption(
      new Option('--algorithm <name>', 'of the signing key').choices([...signingAlgorithms]).default('rsa-2048'),
    )
    .addOption(
      new Option('--decryption-algorithm <name>', 'of the decryption key, if not the one that belongs to it').choices(
        decryptionAlgorithms,
      ),
    )
    .option('--name <name>', 'common name in the certificates')
    .option('--single', 'one certificate for signing and encryption instead of one each')
    .addHelpText(
      'after',
      '\nExample:\n  sealpost identity add alice@alpha.test --name "Alice Ford" --dir /var/lib/sealpost',
    )
    .action(async (address: string, options: AddOptions) => {
      const added = await withKeyAdmin(options, (admin) =>
        admin.call('identity-add', {
          address,
          algorithm: options.algorithm,
          single: options.single ?? false,
          ...(options.decryptionAlgorithm === undefined ? {} : { decryptionAlgorithm: options.decryptionAlgorithm }),
          ...(options.name === undefined ? {} : { commonName: options.name }),
        }),
      );
      show([added], options);
    });

  withInstallation(identity.command('list'))
    .description('list identities and their certificates')
    .option('--tenant <id>', 'of this tenant only')
    .addHelpText('after', '\nExample:\n  sealpost identity list --tenant alpha-test --json')
    .action(async (options: Options) => {
      const { identities } = await withKeyAdmin(options, (admin) =>
        admin.call('identity-list', options.tenant === undefined ? {} : { tenant: options.tenant }),
      );
      show(identities, options);
    });

  withInstallation(identity.command('show <address>'))
    .description('show one identity, with its certificates as PEM')
    .option('--tenant <id>', 'where several tenants know the address')
    .addHelpText('after', '\nExample:\n  sealpost identity show alice@alpha.test --json')
    .action(async (address: string, options: Options) => {
      const found = await withKeyAdmin(options, (admin) =>
        admin.call('identity-show', options.tenant === undefined ? { address } : { address, tenant: options.tenant }),
      );
      const pem = found.records.map(({ certificate }) => pemOf(certificate));
      if (options.json)
        return printJson({ ...found.identity, pem, issuers: found.records.map(({ chain }) => chain.map(pemOf)) });
      show([found.identity], options);
      process.stdout.write(`\n${pem.join('')}`);
    });
}

function show(identities: readonly Identity[], options: Options): void {
  if (options.json) {
    printJson(identities);
    return;
  }
  printTable(
    ['address', 'tenant', 'use', 'algorithm', 'valid until', 'SHA-256'],
    identities.flatMap(({ address, tenant, certificates }) =>
      certificates.map(({ use, algorithm, notAfter, fingerprint }) => [
        address,
        tenant,
        use,
        algorithm,
        notAfter.toISOString().slice(0, 10),
        fingerprint.slice(0, 16),
      ]),
    ),
  );
}

function pemOf(der: Buffer): string {
  return new X509Certificate(der).toString();
}
