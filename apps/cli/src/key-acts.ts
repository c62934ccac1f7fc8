// `sealpost keys` for what one person alone may not do: each asks, and others approve.

import { X509Certificate } from 'node:crypto';
import type { Command } from 'commander';
import { requestAct, showAct } from './acts.ts';
import { type InstallationOptions, installationOf, withInstallation } from './installation.ts';
import { withKeyAdmin } from './key-admin.ts';
import { openOperatorQueue } from './operator-queue.ts';
import { printJson } from './output.ts';
import { readInput } from './read-input.ts';
import { UsageError } from './usage-error.ts';
import { writeOutput } from './write-output.ts';

type Options = InstallationOptions & { readonly json?: boolean; readonly reason: string };

const example = 'alpha-test/alice%40alpha.test/signing/1';
const reason = ['--reason <text>', 'why, for those who approve'] as const;

export function addKeyActs(keys: Command): void {
  withInstallation(keys.command('destroy <id>'))
    .description("ask for the end of a key; once approved it comes after the policy's window")
    .requiredOption(...reason)
    .addHelpText('after', `\nExample:\n  sealpost keys destroy ${example} --reason "left in 2019, retention over"`)
    .action(async (keyId: string, options: Options) => {
      const spool = /\/spool\/\d+$/.test(keyId) ? { spool: await spoolStatement(options) } : {};
      await ask(options, 'key-destroy', { keyId, ...spool });
    });

  withInstallation(keys.command('export <id>'))
    .description("ask for a person's private key, encrypted to a certificate")
    .requiredOption('--to <file>', 'certificate of whoever gets it, PEM or DER')
    .requiredOption(...reason)
    .option('--out <file>', 'where the CMS object goes if nobody has to approve')
    .addHelpText(
      'after',
      `
The key comes as PKCS#8 in a CMS object, in base64. Whoever holds the key of the certificate opens it with
  base64 -d key.b64 | openssl cms -decrypt -inform DER -recip their.pem -inkey their.key -out key.der

Example:
  sealpost keys export ${example} --to their.pem --reason "moves to another gateway" --out key.b64`,
    )
    .action(async (keyId: string, options: Options & { readonly to: string; readonly out?: string }) => {
      const { to, out } = options;
      await ask(options, 'key-export', { keyId, recipient: certificateOf(to) }, (result) => {
        const text = `${(result as { cms: string }).cms}\n`;
        if (out === undefined) process.stdout.write(text);
        else writeOutput(out, Buffer.from(text));
      });
    });

  withInstallation(keys.command('rotate-kek <use>'))
    .description('ask for a new key-encryption key of a use; everything is wrapped anew under it')
    .requiredOption(...reason)
    .addHelpText('after', '\nExample:\n  sealpost keys rotate-kek signing --reason "every two years"')
    .action((use: string, options: Options) => ask(options, 'kek-rotate', { use }));
}

async function ask(
  options: Options,
  act: string,
  params: Parameters<typeof requestAct>[1]['params'],
  show: (result: unknown) => void = printJson,
): Promise<void> {
  const done = await withKeyAdmin(options, (admin) => requestAct(admin, { act, params, reason: options.reason }));
  showAct(done, options.json ?? false, show);
}

/** What the spool names now: the request carries it, and those who approve read it. */
async function spoolStatement(options: Options) {
  const queue = await openOperatorQueue(installationOf(options));
  try {
    const now = new Date();
    const { blobs, unread, keys } = await queue.spoolKeys(now);
    return { scannedAt: now.toISOString(), blobs, unread, keys: [...keys.keys()] };
  } finally {
    await queue.close();
  }
}

function certificateOf(file: string): string {
  const bytes = readInput(file);
  try {
    return new X509Certificate(bytes).raw.toString('base64');
  } catch {
    throw new UsageError(`${file} is not a certificate`);
  }
}
