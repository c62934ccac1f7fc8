// `sealpost queue`: what waits in the stages and what was set aside, and how a person ends it.

import type { QuarantineEntry } from '@sealpost/core';
import type { Command } from 'commander';
import { type InstallationOptions, installationOf, withInstallation } from '../installation.ts';
import { withKeyAdmin } from '../key-admin.ts';
import { type OperatorQueue, openOperatorQueue } from '../operator-queue.ts';
import { printFacts, printJson, printTable } from '../output.ts';
import { UsageError } from '../usage-error.ts';

type Options = InstallationOptions & { readonly json?: boolean; readonly limit?: string };

export function addQueueCommands(program: Command): void {
  const queue = program.command('queue').description('the stages and the quarantine');

  withInstallation(queue.command('status'))
    .description('how many messages wait in each stage, and since when')
    .addHelpText('after', '\nExample:\n  sealpost queue status')
    .action((options: Options) =>
      withQueue(options, async ({ status }) => {
        const stages = await status();
        if (options.json) return printJson(stages);
        printTable(
          ['stage', 'waiting', 'active', 'delayed', 'failed', 'oldest'],
          stages.map(({ stage, waiting, active, delayed, failed, oldestMs }) => [
            ...[stage, waiting, active, delayed, failed].map(String),
            `${Math.round(oldestMs / 1000)} s`,
          ]),
        );
      }),
    );

  withInstallation(queue.command('spool-keys'))
    .description('tell which spool keys the sealed pieces of the spool name; reads them all')
    .addHelpText('after', '\nExample:\n  sealpost queue spool-keys')
    .action((options: Options) =>
      withQueue(options, async (operator) => {
        const { blobs, unread, keys } = await operator.spoolKeys(new Date());
        if (options.json) return printJson({ blobs, unread, keys: Object.fromEntries(keys) });
        printTable(
          ['key', 'pieces'],
          [...keys].sort().map(([key, count]) => [key, String(count)]),
        );
        if (unread > 0) process.stdout.write(`${unread} pieces name no key\n`);
      }),
    );

  withInstallation(queue.command('list'))
    .description('list what was set aside, newest first')
    .option('--limit <count>', 'at most so many', '100')
    .addHelpText('after', '\nExample:\n  sealpost queue list --limit 20 --json')
    .action((options: Options) =>
      withQueue(options, async ({ quarantine }) => {
        const entries = await quarantine.list(Number(options.limit));
        if (options.json) return printJson(entries);
        printTable(['id', 'stage', 'tenant', 'reason', 'bytes', 'since', 'until'], entries.map(row));
      }),
    );

  withInstallation(queue.command('show <id>'))
    .description('show one message that was set aside; its content stays sealed')
    .addHelpText('after', '\nExample:\n  sealpost queue show m0199aabbccd0123456789abcdef0123')
    .action((id: string, options: Options) =>
      withQueue(options, async ({ quarantine }) => {
        const entry = await found(quarantine, id);
        if (options.json) return printJson(entry);
        printFacts({ ...entry, since: entry.since.toISOString(), until: entry.until.toISOString() });
      }),
    );

  withInstallation(queue.command('retry <id>'))
    .description('put a message back into its stage, to be processed as if new')
    .addHelpText('after', '\nExample:\n  sealpost queue retry m0199aabbccd0123456789abcdef0123')
    .action((id: string, options: Options) =>
      withQueue(options, async ({ quarantine }) => {
        await found(quarantine, id);
        await putBack(quarantine, id, options);
      }),
    );

  withInstallation(queue.command('release <id>'))
    .description('let a message go that the policy set aside, unprotected as it is')
    .addHelpText('after', '\nExample:\n  sealpost queue release m0199aabbccd0123456789abcdef0123')
    .action((id: string, options: Options) =>
      withQueue(options, async ({ quarantine }) => {
        const { stage } = await found(quarantine, id);
        if (stage !== 'crypto')
          throw new UsageError(
            `${id} waits for delivery and was protected already; use \`sealpost queue retry ${id}\``,
          );
        const ticket = await quarantine.ticket(id);
        if (ticket === undefined) throw new UsageError(`${id} is not set aside any more`);
        const release = await withKeyAdmin(options, (admin) => admin.call('release-ticket', { message: id, ticket }));
        await putBack(quarantine, id, options, release.ticket.toString('base64url'));
      }),
    );

  addMissing(queue);
}

function addMissing(queue: Command): void {
  withInstallation(queue.command('missing'))
    .description('list mail that was accepted, has not come to its end and is not there')
    .option('--forget <id>', 'you saw to this one: take it off the list')
    .addHelpText('after', '\nExample:\n  sealpost queue missing')
    .action((options: Options & { forget?: string }) =>
      withQueue(options, async ({ ledger }) => {
        const { forget } = options;
        if (forget !== undefined && !(await ledger.forget(forget)))
          throw new UsageError(`nothing with the id ${forget} is missing; \`sealpost queue missing\` shows what is`);
        const missing = await ledger.missing(new Date());
        if (options.json) return printJson(missing);
        printTable(
          ['id', 'stage', 'tenant'],
          missing.map(({ id, stage, tenant }) => [id, stage, tenant]),
        );
      }),
    );
}

async function withQueue(options: Options, use: (queue: OperatorQueue) => Promise<void>): Promise<void> {
  const queue = await openOperatorQueue(installationOf(options));
  try {
    await use(queue);
  } finally {
    await queue.close();
  }
}

async function found(quarantine: OperatorQueue['quarantine'], id: string): Promise<QuarantineEntry> {
  const entry = await quarantine.get(id);
  if (!entry) throw new UsageError(`nothing with the id ${id} is set aside; \`sealpost queue list\` shows what is`);
  return entry;
}

async function putBack(
  quarantine: OperatorQueue['quarantine'],
  id: string,
  options: Options,
  release?: string,
): Promise<void> {
  const requeued = await quarantine.requeue(id, release);
  if (!requeued) throw new UsageError(`${id} is not set aside any more`);
  if (options.json) printJson({ requeued: id });
  else process.stdout.write(`${id} is back in its stage\n`);
}

function row({ id, stage, tenant, code, bytes, since, until }: QuarantineEntry): string[] {
  return [id, stage, tenant, code, String(bytes), since.toISOString(), until.toISOString().slice(0, 10)];
}
