// `sealpost keys csr`: the request for a certificate that an authority elsewhere issues, in the form that all of them take.

import type { Command } from 'commander';
import { type InstallationOptions, withInstallation } from '../installation.ts';
import { withKeyAdmin } from '../key-admin.ts';
import { printJson } from '../output.ts';
import { writeOutput } from '../write-output.ts';

type Options = InstallationOptions & { readonly json?: boolean; readonly out?: string };

/** Adds it to `sealpost keys`. */
export function addCsrCommand(keys: Command): void {
  withInstallation(keys.command('csr <id>'))
    .description('write the request for the certificate of a key that waits for one (PKCS #10, PEM)')
    .option('--out <file>', 'where it goes instead of standard output')
    .addHelpText(
      'after',
      `
Give it to the authority, and import what it issues: the key is in use at once.

Example:
  sealpost keys csr alpha-test/alice%40alpha.test/signing/2 --out alice.csr
  sealpost import --cert alice.pem`,
    )
    .action(async (keyId: string, options: Options) => {
      const { request } = await withKeyAdmin(options, (admin) => admin.call('keys-csr', { keyId }));
      const pem = pemOf(request);
      if (options.out !== undefined) writeOutput(options.out, Buffer.from(pem));
      if (options.json) printJson({ keyId, request: pem });
      else if (options.out === undefined) process.stdout.write(pem);
    });
}

/** RFC 7468 §7. */
function pemOf(der: Buffer): string {
  const lines = der.toString('base64').replace(/.{1,64}/g, '$&\n');
  return `-----BEGIN CERTIFICATE REQUEST-----\n${lines}-----END CERTIFICATE REQUEST-----\n`;
}
