// `sealpost import`: keys and certificates made elsewhere. With a private key they are an identity of ours; without one, a partner's.

import { type Command, Option } from 'commander';
import { type InstallationOptions, withInstallation } from '../installation.ts';
import { withKeyAdmin } from '../key-admin.ts';
import { printJson, printTable } from '../output.ts';
import { readInput, readSecretInput } from '../read-input.ts';
import { UsageError } from '../usage-error.ts';

interface Options extends InstallationOptions {
  readonly json?: boolean;
  readonly tenant?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly p12?: string;
  readonly passwordFile?: string;
  readonly address?: string;
}

export function addImportCommand(program: Command): void {
  withInstallation(program.command('import'))
    .description('import a certificate of a partner, or a key pair for an address of ours')
    .addOption(new Option('--cert <file>', 'certificate, PEM or DER, issuers after it').conflicts('p12'))
    .option('--key <file>', 'its private key, PEM or PKCS#8 in DER: makes it an identity of ours')
    .option('--p12 <file>', 'PKCS#12 file with certificate and private key')
    .option('--password-file <file>', 'file that holds the password of the PKCS#12 or key file')
    .option('--address <address>', 'take only what names this address')
    .option('--tenant <id>', 'for which tenant, where there are several')
    .addHelpText(
      'after',
      '\nExamples:\n  sealpost import --cert bob.pem\n  sealpost import --cert alice.pem --key alice.p8 --password-file alice.pass\n  sealpost import --p12 alice.p12 --password-file alice.pass --tenant alpha-test',
    )
    .action(async (options: Options) => {
      const { imported } = await withKeyAdmin(options, (admin) =>
        admin.call('import', {
          file: fileOf(options),
          ...(options.tenant === undefined ? {} : { tenant: options.tenant }),
          ...(options.address === undefined ? {} : { address: options.address }),
          ...(options.passwordFile === undefined ? {} : { password: readSecretInput(options.passwordFile) }),
        }),
      );
      if (options.json) return printJson(imported);
      printTable(
        ['address', 'tenant', 'use', 'subject', 'valid until'],
        imported.flatMap(({ address, tenant, certificates }) =>
          certificates.map(({ use, subject, notAfter }) => [
            address,
            tenant,
            use,
            subject,
            notAfter.toISOString().slice(0, 10),
          ]),
        ),
      );
    });
}

/** One file goes over: PKCS#12, or certificate and key as one PEM. */
function fileOf({ cert, key, p12 }: Options): Buffer {
  if (p12 !== undefined) return readInput(p12);
  if (cert === undefined) throw new UsageError('name the file with --cert FILE or --p12 FILE');
  if (key === undefined) return readInput(cert);
  return Buffer.concat([certificatePem(readInput(cert)), Buffer.from('\n'), keyPem(readInput(key))]);
}

function certificatePem(file: Buffer): Buffer {
  return isPem(file) ? file : pem('CERTIFICATE', file);
}

/** PKCS#8 says by its second element whether it is encrypted (RFC 5958 §2, §3): a version, or an algorithm. */
function keyPem(file: Buffer): Buffer {
  if (isPem(file)) return file;
  const isLong = (file[1] ?? 0) & 0x80;
  const second = file[isLong ? 2 + ((file[1] ?? 0) & 0x7f) : 2];
  return pem(second === 0x30 ? 'ENCRYPTED PRIVATE KEY' : 'PRIVATE KEY', file);
}

function isPem(file: Buffer): boolean {
  return file.includes('-----BEGIN ');
}

function pem(label: string, der: Buffer): Buffer {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return Buffer.from(`-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`);
}
