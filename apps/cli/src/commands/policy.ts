// `sealpost policy`: the rules that the key service holds people and keys to, and how they change.

import { readFileSync } from 'node:fs';
import { canonicalJson, type KeyPolicy, policyForm } from '@sealpost/service';
import type { Command } from 'commander';
import { requestAct, showAct } from '../acts.ts';
import { type InstallationOptions, withInstallation } from '../installation.ts';
import { withKeyAdmin } from '../key-admin.ts';
import { printFacts, printJson } from '../output.ts';
import { UsageError } from '../usage-error.ts';

type Options = InstallationOptions & { readonly json?: boolean };

export function addPolicyCommands(program: Command): void {
  const policy = program.command('policy').description('the policy of the key service: show, change');

  withInstallation(policy.command('show'))
    .description('print the policy that holds, to be edited for a change')
    .addHelpText('after', '\nExample:\n  sealpost policy show > policy.json')
    .action(async (options: Options) => {
      const shown = await withKeyAdmin(options, (admin) => admin.call('policy-show', {}));
      if (options.json) printJson(shown);
      else process.stdout.write(`${JSON.stringify(shown.policy, undefined, 2)}\n`);
    });

  withInstallation(policy.command('change <file>'))
    .description('request that the policy in a file takes the place of the one that holds')
    .requiredOption('--reason <text>', 'why, for those who approve it and for the audit log')
    .addHelpText(
      'after',
      '\nExample:\n  sealpost policy change policy.json --reason "keys live shorter" --as ~/sealpost/alice',
    )
    .action(async (file: string, options: Options & { reason: string }) => {
      const { reason } = options;
      const params = { policy: JSON.parse(canonicalJson(readPolicy(file))) };
      const done = await withKeyAdmin(options, (admin) => requestAct(admin, { act: 'policy-change', params, reason }));
      showAct(done, options.json ?? false, () => printFacts({ policy: 'in force' }));
    });
}

function readPolicy(file: string): KeyPolicy {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    throw new UsageError(`${file} is not a file with JSON in it`);
  }
  const parsed = policyForm.safeParse(value);
  const [first] = parsed.error?.issues ?? [];
  if (!parsed.success) throw new UsageError(`${file}: ${first?.path.join('.')}: ${first?.message}`);
  return parsed.data;
}
