// `sealpost key-service slot`: the ways into the key store. Secrets are made here and stay here; the service gets what it can seal the
// root to. Each change is an act that others may have to approve.

import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import {
  makeNewSlot,
  newSlotForm,
  passphraseBytes,
  readCustodian,
  readSlotWish,
  type SlotWish,
} from '@sealpost/service';
import type { Command } from 'commander';
import { requestAct, showAct } from './acts.ts';
import { repeated } from './arguments.ts';
import { type InstallationOptions, installationOf, withInstallation } from './installation.ts';
import { withKeyAdmin } from './key-admin.ts';
import { printJson, printTable } from './output.ts';
import { readInput, readSecretInput } from './read-input.ts';
import { UsageError } from './usage-error.ts';

interface Options extends InstallationOptions {
  readonly json?: boolean;
}

interface ChangeOptions extends Options {
  readonly reason: string;
  readonly passphraseFile?: string;
  readonly sharesDir?: string;
  readonly custodian?: readonly string[];
}

export function addSlotCommands(keyService: Command): void {
  const slot = keyService.command('slot').description('what opens the key store: passphrase, file, shares, token');

  withInstallation(slot.command('list'))
    .description('list the slots')
    .addHelpText('after', '\nExample:\n  sealpost key-service slot list')
    .action(async (options: Options) => {
      const { slots } = await withKeyAdmin(options, (admin) => admin.call('status', {}));
      if (options.json) return printJson(slots);
      printTable(
        ['slot', 'kind', 'made'],
        slots.map(({ label, kind, createdAt }) => [label, kind, createdAt?.toISOString() ?? '']),
      );
    });

  withMaking(slot.command('add <slot>'))
    .description('add a way in, written as [LABEL=]passphrase, file:PATH, shamir:3/5 or pkcs11:KEY')
    .addHelpText(
      'after',
      '\nExample:\n  sealpost key-service slot add people=shamir:2/3 --shares-dir /media/usb --reason "second slot"',
    )
    .action((wish: string, options: ChangeOptions) => change('slot-add', readSlotWish(wish), options));

  withMaking(slot.command('rotate <slot>'))
    .description('put another secret in the place of a slot of this label, written as for `add`')
    .addHelpText(
      'after',
      '\nExample:\n  sealpost key-service slot rotate people=shamir:3/5 --shares-dir /media/usb --reason "Carol left"',
    )
    .action((wish: string, options: ChangeOptions) => change('slot-rotate', readSlotWish(wish), options));

  withInstallation(slot.command('remove <label>'))
    .description('remove a way in; never the last')
    .requiredOption('--reason <text>', 'shown to those who approve, and kept')
    .option('--leaves-one', 'it is meant that one slot stays, whose loss loses every key')
    .addHelpText('after', '\nExample:\n  sealpost key-service slot remove file --reason "the mount is gone"')
    .action(async (label: string, options: ChangeOptions & { leavesOne?: boolean }) => {
      const params = { label, leavesOne: options.leavesOne ?? false };
      const { reason } = options;
      const done = await withKeyAdmin(options, (admin) => requestAct(admin, { act: 'slot-remove', params, reason }));
      showAct(done, options.json ?? false, (result) => {
        process.stdout.write(`The slot ${label} opens nothing any more.\n`);
        tellRoot(result);
      });
    });
}

function withMaking(command: Command): Command {
  return withInstallation(command)
    .requiredOption('--reason <text>', 'shown to those who approve, and kept')
    .option('--passphrase-file <file>', 'the new passphrase; - for standard input')
    .option('--shares-dir <dir>', 'where shares go, a file each')
    .option('--custodian <name=pem>', "a custodian's X25519 public key, one a share", repeated);
}

async function change(act: 'slot-add' | 'slot-rotate', wish: SlotWish, options: ChangeOptions): Promise<void> {
  const { reason, passphraseFile, sharesDir } = options;
  const custodians = (options.custodian ?? []).map(readCustodian);
  const { slot, secret, shareFiles } = await makeNewSlot(wish, {
    installation: installationOf(options).installation,
    passphrase() {
      if (passphraseFile === undefined) throw new UsageError('the passphrase is needed: --passphrase-file FILE');
      return passphraseBytes(readSecretInput(passphraseFile));
    },
    file: readSlotFile,
    shares: sharesDir === undefined ? undefined : { directory: sharesDir, custodians },
  });
  secret?.fill(0);
  const params = { slot: newSlotForm.encode(slot) };
  const done = await withKeyAdmin(options, (admin) => requestAct(admin, { act, params, reason }));
  const print = slot.kind === 'pkcs11' ? '' : ` (key ${fingerprint(slot.publicKey)})`;
  showAct(done, options.json ?? false, (result) => {
    process.stdout.write(`The slot ${slot.label}${print} opens the store.\n`);
    tellRoot(result);
  });
  if (options.json) return;
  for (const file of shareFiles) process.stdout.write(`made ${file}: give it to its custodian and keep no copy\n`);
}

function tellRoot(result: unknown): void {
  if ((result as { root?: unknown }).root !== 'kept') return;
  process.stdout.write('The root stays, because a slot of an earlier version does: rotate that one too.\n');
}

/** As the service reads it, without the line end that editors add. */
function readSlotFile(file: string): Buffer {
  const bytes = readInput(file);
  if ((statSync(file).mode & 0o077) !== 0) throw new UsageError(`${file} must be readable by its owner only`);
  let end = bytes.length;
  while (end > 0 && (bytes[end - 1] === 0x0a || bytes[end - 1] === 0x0d)) end--;
  if (end < 32) throw new UsageError(`${file} holds less than 32 bytes`);
  return bytes.subarray(0, end);
}

/** As those who approve see it. */
function fingerprint(publicKey: Buffer): string {
  return createHash('sha256').update(publicKey).digest('hex').slice(0, 16);
}
