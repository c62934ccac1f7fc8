// `sealpost approvals`: what waits for a second person, and how that person approves or refuses it.

import { createPrivateKey } from 'node:crypto';
import { type KeyAnswer, requestHash, signApproval } from '@sealpost/service';
import type { Command } from 'commander';
import { factsOf } from '../acts.ts';
import { type InstallationOptions, withInstallation } from '../installation.ts';
import { identityOf, withKeyAdmin } from '../key-admin.ts';
import { printFacts, printJson, printTable } from '../output.ts';
import { UsageError } from '../usage-error.ts';

type Options = InstallationOptions & { readonly json?: boolean };

export function addApprovalsCommands(program: Command): void {
  const approvals = program.command('approvals').description('requests that others must approve');

  withInstallation(approvals.command('list'))
    .description('list requests, newest first')
    .option('--all', 'also those that are over')
    .addHelpText('after', '\nExample:\n  sealpost approvals list --as ~/sealpost/bob')
    .action(async (options: Options & { all?: boolean }) => {
      const { requests } = await withKeyAdmin(options, (admin) => admin.call('act-list', {}));
      const chosen = requests.filter(({ state }) => options.all || state === 'pending');
      if (options.json) return printJson(chosen);
      printTable(
        ['request', 'act', 'requested by', 'approvals', 'state', 'expires at', 'would be done'],
        chosen.map(({ id, act, requester, approvals: given, needed, state, expiresAt, summary }) => [
          id,
          act,
          `${requester.role}/${requester.name}`,
          `${given.length} of ${needed}`,
          state,
          expiresAt.toISOString(),
          summary,
        ]),
      );
    });

  withInstallation(approvals.command('show <request>'))
    .description('show a request word for word, as approvers sign it')
    .addHelpText('after', '\nExample:\n  sealpost approvals show 0b9f… --as ~/sealpost/bob')
    .action(async (id: string, options: Options) => {
      const request = await withKeyAdmin(options, (admin) => admin.call('act-show', { id }));
      if (options.json) return printJson(request);
      show(request, options);
      process.stdout.write(`\n${request.canonical}\n`);
    });

  withInstallation(approvals.command('approve <request>'))
    .description('approve a request: signs it with your key, takes a code of your second factor')
    .option('--code <digits>', 'the six digits that your authenticator shows now')
    .option('--hash <sha256>', 'approve only if the request has this SHA-256, which you compared with its requester')
    .addHelpText('after', '\nExample:\n  sealpost approvals approve 0b9f… --code 123456 --as ~/sealpost/bob')
    .action(async (id: string, options: Options & { code?: string; hash?: string }) => {
      const approved = await withKeyAdmin(options, async (admin) => {
        const { canonical } = await admin.call('act-show', { id });
        // What is signed is what was shown here, not what the service says that it is.
        const hash = requestHash(canonical);
        if (options.hash !== undefined && options.hash !== hash) {
          throw new UsageError('the request has another SHA-256 than the one that you were told; do not approve it');
        }
        const { key, passphrase } = identityOf(options);
        const privateKey = createPrivateKey(passphrase === undefined ? { key } : { key, passphrase });
        const signature = signApproval(canonical, privateKey);
        const { code } = options;
        return await admin.call('act-approve', { id, hash, signature, ...(code === undefined ? {} : { code }) });
      });
      show(approved, options);
    });

  withInstallation(approvals.command('refuse <request>'))
    .description('refuse a request for good, or withdraw your own')
    .addHelpText('after', '\nExample:\n  sealpost approvals refuse 0b9f… --as ~/sealpost/bob')
    .action(async (id: string, options: Options) =>
      show(await withKeyAdmin(options, (admin) => admin.call('act-refuse', { id })), options),
    );

  withInstallation(approvals.command('execute <request>'))
    .description('do what you requested and others approved')
    .addHelpText('after', '\nExample:\n  sealpost approvals execute 0b9f… --as ~/sealpost/alice')
    .action(async (id: string, options: Options) => {
      const { result } = await withKeyAdmin(options, (admin) => admin.call('act-execute', { id }));
      printJson(result);
    });
}

function show(request: KeyAnswer<'act-approve'>, options: Options): void {
  if (options.json) printJson(request);
  else printFacts(factsOf(request));
}
