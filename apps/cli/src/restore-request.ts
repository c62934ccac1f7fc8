// `sealpost backup request` and `backup approve`: who wants a backup restored, and who agrees, each with the own key and without any
// service; the files are brought to the empty machine.

import {
  approveRestore,
  makeRestoreRequest,
  type RestoreRequest,
  type RestoreWish,
  readRestoreRequest,
} from '@sealpost/service';
import type { Command } from 'commander';
import { type InstallationOptions, withInstallation } from './installation.ts';
import { identityOf } from './key-admin.ts';
import { printFacts, printJson } from './output.ts';
import { readInput } from './read-input.ts';
import { UsageError } from './usage-error.ts';
import { writeOutput } from './write-output.ts';

type Options = InstallationOptions & { readonly json?: boolean; readonly out: string };
type RequestOptions = Options & { readonly checkpoint: string; readonly acceptLoss?: string; readonly reason: string };

export function addRestoreRequestCommands(backup: Command): void {
  withInstallation(backup.command('request <file>'))
    .description('ask for the restoring of a backup: a file, signed by your key, that others approve')
    .requiredOption('--checkpoint <file>', 'the head that the custodians held, as for `restore`')
    .option('--accept-loss <records>', 'as for `restore`')
    .requiredOption('--reason <text>', 'shown to those who approve')
    .requiredOption('--out <file>', 'where the request goes')
    .addHelpText(
      'after',
      '\nExample:\n  sealpost backup request FILE --checkpoint audit-head.json --reason "the disk died" --out restore.request --as ~/alice',
    )
    .action((file: string, options: RequestOptions) => {
      const { checkpoint, reason, out } = options;
      const acceptLoss = lossOf(options.acceptLoss ?? '0');
      const wish = { checkpoint: headOf(checkpoint), acceptLoss, reason };
      const text = makeRestoreRequest(readInput(file), wish, identityOf(options), new Date());
      writeOutput(out, Buffer.from(text));
      show(readRestoreRequest(Buffer.from(text)), options);
    });

  withInstallation(backup.command('approve <request>'))
    .description('agree to the restoring that a request asks for: a file, signed by your key')
    .option('--hash <sha256>', 'approve only if the request has this SHA-256, which you compared with its requester')
    .requiredOption('--out <file>', 'where the approval goes')
    .addHelpText('after', '\nExample:\n  sealpost backup approve restore.request --out bob.approval --as ~/bob')
    .action((file: string, options: Options & { hash?: string }) => {
      const request = readRestoreRequest(readInput(file));
      if (options.hash !== undefined && options.hash !== request.hash)
        throw new UsageError('the request has another SHA-256 than the one that you were told; do not approve it');
      writeOutput(options.out, Buffer.from(approveRestore(request, identityOf(options))));
      show(request, options);
    });
}

function lossOf(text: string): RestoreWish['acceptLoss'] {
  if (text === 'all') return text;
  if (!/^\d{1,15}$/.test(text)) throw new UsageError('--accept-loss takes a number of records, or all');
  return Number(text);
}

function headOf(file: string): RestoreWish['checkpoint'] {
  try {
    const { head, key } = JSON.parse(readInput(file).toString('utf8'));
    if (typeof head === 'string' && typeof key === 'string') return { head, key };
  } catch {
    // Said below.
  }
  throw new UsageError(`${file} is not a head that \`sealpost audit head --json\` gave out`);
}

function show({ asked, hash }: RestoreRequest, options: Options): void {
  const { id, backup, checkpoint, acceptLoss, reason, requester, requestedAt, expiresAt } = asked;
  if (options.json) printJson({ ...asked, hash });
  else
    printFacts({
      request: id,
      backup: `SHA-256 ${backup}`,
      'not older than': checkpoint.head,
      'records given up': String(acceptLoss),
      reason,
      'requested by': `${requester.role}/${requester.name}`,
      'requested at': requestedAt,
      'expires at': expiresAt,
      'SHA-256': hash,
    });
}
