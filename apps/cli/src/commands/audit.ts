// `sealpost audit`: verifies the key service's log, also far from the service, and looks up in it who used which key when.

import { accessSync, constants, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import {
  type Act,
  type AuditFault,
  type AuditRecord,
  type AuditReport,
  type ExportFormat,
  exportFormats,
  findActs,
  type HeldHead,
  parseHead,
  readLog,
  syslogMessage,
  verifyLog,
} from '@sealpost/service';
import { type Command, Option } from 'commander';
import { orUsage, toDate } from '../arguments.ts';
import { type InstallationOptions, installationOf, withInstallation } from '../installation.ts';
import { withKeyAdmin } from '../key-admin.ts';
import { printFacts, printJson, printTable } from '../output.ts';
import { UsageError } from '../usage-error.ts';

/** Beside 0, 1 and 2 of every command. */
const tamperedExit = 3;
const tornExit = 4;

const faults: Readonly<Record<AuditFault, string>> = {
  'record-changed': 'the record after the last good one was changed, taken out or reordered',
  'checkpoint-forged': 'the checkpoint after the last good record is not the one that the store signed',
  'shorter-than-held': 'the log ends before the head that was held elsewhere: its end was cut off',
  'other-than-held': 'the log has another record where the held head was: it was rewritten',
};

type Options = InstallationOptions & { readonly json?: boolean };

export function addAuditCommands(program: Command): void {
  const audit = program.command('audit').description("the key service's audit log: verify, query, head");

  withInstallation(audit.command('head'))
    .description('print the signed head of the log, to be held elsewhere for a later verify')
    .addHelpText('after', '\nExample:\n  sealpost audit head --json > /mnt/elsewhere/audit-head.json')
    .action(async (options: Options) => {
      const head = await withKeyAdmin(options, (admin) => admin.call('audit-head', {}));
      if (options.json) printJson(head);
      else printFacts(head);
    });

  audit
    .command('verify <file>')
    .description('verify a log file, without the service')
    .option(
      '--checkpoint <file>',
      'a head that `sealpost audit head --json` gave out earlier and that was held elsewhere',
    )
    .option('--json', 'print one JSON value')
    .addHelpText(
      'after',
      `
Exit codes: 0 genuine, ${tamperedExit} tampered with, ${tornExit} genuine with an end that a crash tore off.

Example:
  sealpost audit verify /var/lib/sealpost/audit/audit.log --checkpoint /mnt/elsewhere/audit-head.json`,
    )
    .action((file: string, options: { checkpoint?: string; json?: boolean }, command: Command) =>
      orUsage(command, async () => {
        const held = options.checkpoint === undefined ? undefined : readHeld(options.checkpoint);
        assertReadable(file);
        const report = await verifyLog(file, held);
        if (options.json) printJson(report);
        else show(report);
        process.exitCode = { genuine: 0, tampered: tamperedExit, torn: tornExit }[report.verdict];
      }),
    );

  addExport(audit);

  withInstallation(audit.command('query'))
    .description('tell who used which key when')
    .option('--file <file>', "log file; by default the installation's own")
    .option('--address <address>', 'keys and acts of this address; the key service is asked for its hash')
    .option('--key <id>', 'key id as the log has it')
    .option('--tenant <id>', 'acts of this tenant')
    .option('--message <id>', 'acts for this message')
    .option('--operation <name>', 'such as lease')
    .option('--worker <name>', 'process, certificate name, or SHA-256 of a certificate')
    .option('--from <time>', 'ISO 8601', toDate)
    .option('--to <time>', 'ISO 8601', toDate)
    .addHelpText(
      'after',
      '\nExample:\n  sealpost audit query --address alice@example.org --operation lease --from 2026-06-01',
    )
    .action(async (options: QueryOptions) => {
      const { key, tenant, message, operation, worker, from, to, json } = options;
      const address = options.address === undefined ? undefined : await hashesOf(options.address, options);
      const filter = { address, key, tenant, message, operation, worker, from, to };
      const { acts, log } = await findActs(logOf(options), filter);
      if (json) printJson({ log, acts });
      else showActs(acts);
      warnIfTampered(log);
    });
}

/** Beside what the service sends by itself: for a period that the collector lacks. */
function addExport(audit: Command): void {
  withInstallation(audit.command('export'))
    .description('print the records of a period as a SIEM takes them')
    .option('--file <file>', "log file; by default the installation's own")
    .addOption(new Option('--format <format>', 'form of the records').choices(exportFormats).default('json-lines'))
    .option('--from <time>', 'ISO 8601', toDate)
    .option('--to <time>', 'ISO 8601', toDate)
    .addHelpText('after', '\nExample:\n  sealpost audit export --format syslog --from 2026-06-01 --to 2026-06-02')
    .action(async (options: Options & { file?: string; format: ExportFormat; from?: Date; to?: Date }) => {
      const { format, from, to } = options;
      const name = options.file === undefined ? installationOf(options).installation : hostname();
      const state = await readLog(logOf(options), (line) => {
        const at = new Date((JSON.parse(line) as AuditRecord).at);
        if ((from && at < from) || (to && at > to)) return;
        process.stdout.write(format === 'syslog' ? `${syslogMessage(line, name)}\n` : `${line}\n`);
      });
      warnIfTampered(state.kind);
    });
}

type QueryOptions = Options & {
  readonly file?: string;
  readonly address?: string;
  readonly key?: string;
  readonly tenant?: string;
  readonly message?: string;
  readonly operation?: string;
  readonly worker?: string;
  readonly from?: Date;
  readonly to?: Date;
};

/** The log file that is named, or the one of the installation on this machine. */
export function logOf(options: InstallationOptions & { readonly file?: string }): string {
  const file = options.file ?? installationOf(options).keyServer.audit.file;
  assertReadable(file);
  return file;
}

/** What stands after a change proves nothing, so it is not shown. */
export function warnIfTampered(log: string): void {
  if (log !== 'tampered') return;
  process.stderr.write('sealpost: the log was tampered with; only what stands before the change is shown\n');
  process.exitCode = tamperedExit;
}

/** Under each version of the key that the log's addresses stand under. */
async function hashesOf(address: string, options: InstallationOptions): Promise<readonly string[]> {
  const { hashes } = await withKeyAdmin(options, (admin) => admin.call('audit-address', { address }));
  return hashes;
}

function readHeld(file: string): HeldHead {
  try {
    const { head: text, key } = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    const head = typeof text === 'string' ? parseHead(text) : undefined;
    if (head && typeof key === 'string') return { head, key };
  } catch {
    // One sentence for a file that is not there and for one that is something else.
  }
  throw new UsageError(`${file} is not a head that \`sealpost audit head --json\` gave out`);
}

/** A log that is not there must not pass for an empty one. */
function assertReadable(file: string): void {
  try {
    accessSync(file, constants.R_OK);
  } catch {
    throw new UsageError(`${file} cannot be read`);
  }
}

function show(report: AuditReport): void {
  const { verdict, fault, from, records, torn, checkpoints, signedUntil, key, keyHeld } = report;
  printFacts({
    verdict,
    fault: fault && faults[fault],
    'first record': from > 1 ? from : undefined,
    'last good record': records,
    'torn bytes': torn > 0 ? torn : undefined,
    checkpoints,
    'signed up to': signedUntil,
    'key (SHA-256)': key,
    'key known from': keyHeld ? 'the head held elsewhere' : 'the log itself; compare it',
  });
}

function showActs(acts: readonly Act[]): void {
  printTable(
    ['when', 'operation', 'by', 'process', 'key', 'message', 'until', 'result'],
    acts.map(({ at, operation, role, name, instance, tenant, key, message, until, result }) => [
      at,
      operation,
      `${role}/${name}`,
      instance ?? '',
      key ?? tenant ?? '',
      message ?? '',
      until ?? '',
      result,
    ]),
  );
}
