// `sealpost keys`: versions of keys, their states, and the steps from one to the next.

import type { KeyAnswer } from '@sealpost/service';
import type { Command } from 'commander';
import { type InstallationOptions, installationOf, withInstallation } from '../installation.ts';
import { addKeyActs } from '../key-acts.ts';
import { withKeyAdmin } from '../key-admin.ts';
import { addHsmCommand } from '../keys/add-hsm.ts';
import { addCsrCommand } from '../keys/csr.ts';
import { printFacts, printJson, printTable } from '../output.ts';
import { UsageError } from '../usage-error.ts';

type Key = KeyAnswer<'keys-list'>['keys'][number];
type Options = InstallationOptions & { readonly json?: boolean; readonly tenant?: string };
type ListOptions = Options & { readonly identity?: string; readonly state?: Key['state'] };
type RotateOptions = Options & { readonly use?: 'signing' | 'decryption' | 'spool' | 'mac' };

const example = 'alpha-test/alice%40alpha.test/signing/1';

const steps = {
  suspend: 'stop signing and encrypting with a key for now; it opens old mail still',
  resume: 'use a suspended key again',
  deactivate: 'end the use of a key for good; it opens old mail still',
  compromise: 'say that others may know a key: nothing is signed with it or encrypted to it any more',
  'destroy-cancel': 'take back the destruction of a key before its window ends',
} as const;

export function addKeysCommands(program: Command): void {
  const keys = program.command('keys').description('key versions: list, rotate, move from state to state');

  addHsmCommand(keys);
  addCsrCommand(keys);

  withInstallation(keys.command('list'))
    .description('list key versions with their states and when their successors are due')
    .option('--tenant <id>', 'of this tenant only')
    .option('--identity <name>', 'of this address, or part of the gateway such as stage.crypto')
    .option('--state <state>', 'in this state only, such as active')
    .addHelpText('after', '\nExample:\n  sealpost keys list --tenant alpha-test --state active')
    .action(async (options: ListOptions) => {
      const { tenant, identity, state } = options;
      const found = await withKeyAdmin(options, (admin) =>
        admin.call('keys-list', {
          ...(tenant === undefined ? {} : { tenant }),
          ...(identity === undefined ? {} : { identity }),
          ...(state === undefined ? {} : { state }),
        }),
      );
      show(found.keys, options);
    });

  withInstallation(keys.command('show <id>'))
    .description('show one key version')
    .addHelpText('after', `\nExample:\n  sealpost keys show ${example}`)
    .action(async (keyId: string, options: Options) => {
      const { key, publicKey, certificates } = await withKeyAdmin(options, (admin) =>
        admin.call('keys-show', { keyId }),
      );
      const facts = { ...datesOf(key), certificates: certificates.join(' '), publicKey: publicKey.toString('base64') };
      if (options.json) printJson(facts);
      else printFacts(facts);
    });

  withInstallation(keys.command('rotate <identity>'))
    .description('make the next version of the keys of an address or a part of the gateway')
    .option('--tenant <id>', 'where it is not told by the address')
    .option('--use <use>', 'signing, decryption, spool or mac; all that it has without this')
    .addHelpText(
      'after',
      '\nExamples:\n  sealpost keys rotate alice@alpha.test\n  sealpost keys rotate stage.crypto --tenant alpha-test',
    )
    .action(async (identity: string, options: RotateOptions) => {
      const { use } = options;
      const tenant = tenantOf(identity, options);
      const made = await withKeyAdmin(options, (admin) =>
        admin.call('keys-rotate', { tenant, identity, ...(use === undefined ? {} : { use }) }),
      );
      show(made.keys, options);
    });

  withInstallation(keys.command('keks'))
    .description('list versions of key-encryption keys; two of a use while one replaces the other')
    .addHelpText('after', '\nExample:\n  sealpost keys keks')
    .action(async (options: Options) => {
      const { keks } = await withKeyAdmin(options, (admin) => admin.call('kek-list', {}));
      if (options.json) return printJson(keks);
      printTable(
        ['use', 'versions'],
        keks.map(({ use, versions }) => [use, versions.join(', ')]),
      );
    });

  addKeyActs(keys);

  for (const [step, text] of Object.entries(steps) as [keyof typeof steps, string][]) {
    withInstallation(keys.command(`${step} <id>`))
      .description(text)
      .addHelpText('after', `\nExample:\n  sealpost keys ${step} ${example}`)
      .action(async (keyId: string, options: Options) => {
        const moved = await withKeyAdmin(options, (admin) => admin.call(`keys-${step}`, { keyId }));
        show(moved.keys, options);
      });
  }
}

function tenantOf(identity: string, options: Options): string {
  if (options.tenant !== undefined) return options.tenant;
  const { tenants } = installationOf(options);
  const domain = identity.slice(identity.lastIndexOf('@') + 1).toLowerCase();
  const found = tenants.length === 1 ? tenants[0] : tenants.find(({ domains }) => domains.includes(domain));
  if (!found) throw new UsageError('there are several tenants; name the one that is meant with --tenant');
  return found.id;
}

function show(keys: readonly Key[], options: Options): void {
  if (options.json) {
    printJson(keys.map(datesOf));
    return;
  }
  printTable(
    ['key', 'algorithm', 'state', 'since', 'next'],
    keys.map(({ keyId, algorithm, state, since, nextRotation, destroyAt }) => [
      keyId,
      algorithm,
      state,
      day(since),
      destroyAt ? `destroyed ${day(destroyAt)}` : nextRotation ? `rotated ${day(nextRotation)}` : '',
    ]),
  );
}

function datesOf({ createdAt, since, destroyAt, nextRotation, ...key }: Key) {
  return {
    ...key,
    createdAt: createdAt.toISOString(),
    since: since.toISOString(),
    ...(destroyAt ? { destroyAt: destroyAt.toISOString() } : {}),
    ...(nextRotation ? { nextRotation: nextRotation.toISOString() } : {}),
  };
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}
