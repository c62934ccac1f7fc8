// `sealpost backup`: saves the key store of the running service, and what custodians do with a backup without it. The latter is the
// key service's own work, run as a process of its own.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { Command } from 'commander';
import { repeated } from '../arguments.ts';
import { configFileOf, type InstallationOptions, withInstallation } from '../installation.ts';
import { withKeyAdmin } from '../key-admin.ts';
import { printFacts, printJson } from '../output.ts';
import { addRestoreRequestCommands } from '../restore-request.ts';
import { projectRoot } from '../up/layout.ts';

type Options = InstallationOptions & { readonly json?: boolean };

interface Custodians extends Options {
  readonly recipient: string;
  readonly share: readonly string[];
  readonly checkpoint?: string;
  readonly acceptLoss?: string;
  readonly passphraseFile?: string;
  readonly unsealShare?: readonly string[];
  readonly shareKey?: string;
  readonly request?: string;
  readonly approval?: readonly string[];
  readonly quorumAlone?: boolean;
}

export function addBackupCommands(program: Command): void {
  const backup = program
    .command('backup')
    .description('encrypted backups of the key store: make, verify, restore, drill');

  withInstallation(backup.command('make'))
    .description('save the key store of the running service, sealed to the quorum that the configuration names')
    .addHelpText('after', '\nExample:\n  sealpost backup make --config /etc/sealpost.yaml')
    .action(async (options: Options) => {
      const made = await withKeyAdmin(options, (admin) => admin.call('backup-make', {}));
      if (options.json) printJson(made);
      else printFacts({ ...made, createdAt: made.createdAt.toISOString() });
    });

  backup
    .command('quorum')
    .description('make the key that backups are sealed to, and its shares for the custodians')
    .requiredOption('--needed <n>', 'shares that open a backup')
    .requiredOption('--of <m>', 'shares to make, one for each custodian')
    .requiredOption(
      '--out <prefix>',
      'files PREFIX.recipient.json and PREFIX.share-1.json …, on media that can be handed out',
    )
    .option('--json', 'print one JSON value')
    .addHelpText('after', '\nExample:\n  sealpost backup quorum --needed 3 --of 5 --out /media/ceremony/backup')
    .action(({ needed, of, out, json }: { needed: string; of: string; out: string; json?: boolean }) =>
      run(['quorum', '--needed', needed, '--of', of, '--out', out], json),
    );

  withShares(backup.command('verify <file>'))
    .description('open a backup with its shares and check it; nothing is written')
    .option('--checkpoint <file>', 'a head that `sealpost audit head --json` gave out; tells what the backup lacks')
    .option('--json', 'print one JSON value')
    .addHelpText(
      'after',
      '\nExample:\n  sealpost backup verify FILE --recipient backup.recipient.json --share backup.share-1.json --share backup.share-4.json',
    )
    .action((file: string, options: Custodians) => run(['verify', file, ...keysOf(options)], options.json));

  addRestoreRequestCommands(backup);

  withSecret(withInstallation(withShares(backup.command('restore <file>'))))
    .description('put the store of a backup on a machine that has none')
    .requiredOption('--checkpoint <file>', 'a head that `sealpost audit head --json` gave out and the custodians held')
    .option('--accept-loss <records>', 'take a backup older than the checkpoint, naming what is lost; or `all`')
    .option('--request <file>', 'who wants it: as `sealpost backup request` made it')
    .option('--approval <file>', 'who agrees: as `sealpost backup approve` made it; once for each', repeated)
    .option('--quorum-alone', 'too few people are left to approve: the shares decide alone, and the log says so')
    .addHelpText(
      'after',
      `
Example:
  sealpost backup restore 2026-06-01T020000.000Z.sealpost-backup --config /etc/sealpost.yaml --recipient backup.recipient.json \\
    --share backup.share-1.json --share backup.share-4.json --share backup.share-5.json --checkpoint audit-head.json \\
    --request restore.request --approval bob.approval`,
    )
    .action((file: string, options: Custodians) =>
      run(['restore', file, '--config', configFileOf(options), ...keysOf(options)], options.json),
    );

  withSecret(withInstallation(withShares(backup.command('drill <file>'))))
    .description('restore a backup to a scratch place, open its canary and every key, and write a signed report')
    .addHelpText(
      'after',
      '\nExample:\n  sealpost backup drill FILE --config /etc/sealpost.yaml --recipient backup.recipient.json --share backup.share-1.json',
    )
    .action((file: string, options: Custodians) =>
      run(['drill', file, '--config', configFileOf(options), ...keysOf(options)], options.json),
    );
}

function withShares(command: Command): Command {
  return command
    .requiredOption('--recipient <file>', "the quorum's public key, as `sealpost backup quorum` made it")
    .requiredOption('--share <file>', "a custodian's share; once for each", repeated);
}

/** What opens the store itself, where nothing does by itself. */
function withSecret(command: Command): Command {
  return command
    .option('--passphrase-file <file>', 'passphrase of the store; - for standard input')
    .option('--unseal-share <file>', "a share of the store's slot; once for each", repeated)
    .option('--share-key <file>', 'private key that opens a sealed share');
}

function keysOf(options: Custodians): string[] {
  const { recipient, share, checkpoint, acceptLoss, passphraseFile, unsealShare, shareKey, request } = options;
  const maybe = (name: string, value: string | undefined) => (value === undefined ? [] : [name, value]);
  return [
    '--recipient',
    recipient,
    ...share.flatMap((file) => ['--share', file]),
    ...maybe('--checkpoint', checkpoint),
    ...maybe('--accept-loss', acceptLoss),
    ...maybe('--passphrase-file', passphraseFile),
    ...(unsealShare ?? []).flatMap((file) => ['--unseal-share', file]),
    ...maybe('--share-key', shareKey),
    ...maybe('--request', request),
    ...(options.approval ?? []).flatMap((file) => ['--approval', file]),
    ...(options.quorumAlone ? ['--quorum-alone'] : []),
  ];
}

/** Its complaints go to standard error as they are. */
function run(args: readonly string[], json = false): void {
  const main = join(projectRoot, 'apps/key-service/src/main.ts');
  const done = spawnSync(process.execPath, [main, 'backup', ...args], { stdio: ['inherit', 'pipe', 'inherit'] });
  process.exitCode = done.status ?? 1;
  if (process.exitCode !== 0) return;
  const answer = JSON.parse(done.stdout.toString()) as Record<string, unknown>;
  if (json) printJson(answer);
  else printFacts(Object.fromEntries(Object.entries(answer).map(([name, value]) => [name, textOf(value)])));
}

function textOf(value: unknown): string | number | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === 'string' || typeof value === 'number' ? value : JSON.stringify(value);
}
