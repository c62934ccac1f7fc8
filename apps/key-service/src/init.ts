// `main.ts init --config FILE [--passphrase-file FILE] [--replace-audit-log]`: makes the store, the service CA, the tenants' keys
// and everybody's credentials. Run again it fills what is missing and leaves the rest.

import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Log, SetupError } from '@sealpost/core';
import { ConfigError, type Installation, loadConfig } from '@sealpost/service';
import { fillCredentials } from './credentials.ts';
import { openKeeper } from './keeper.ts';
import { beginPolicy } from './policy/begin.ts';
import { openDatabase, storeExists } from './store/database.ts';
import { newStoreId, readOuter, writeOuter } from './store/outer.ts';
import { using } from './vault/box.ts';
import { makeKeks } from './vault/keks.ts';
import { makeSlotFile, readSlotFile, type SlotSecret, slotFileExists } from './vault/slot-file.ts';
import { makeSlot, newRoot, passphraseBytes } from './vault/slots.ts';

/** Argon2id makes guessing dear, not a short passphrase good. */
const leastPassphrase = 12;

const usage = 'Usage: main.ts init --config FILE [--passphrase-file FILE] [--replace-audit-log]\n';

/** Exit codes: 0 done, 1 could not, 64 usage, 78 configuration. */
export async function init(args: readonly string[]): Promise<number> {
  const options = readArgs(args);
  if (!options) {
    process.stderr.write(usage);
    return 64;
  }
  try {
    const config = loadConfig(options.config);
    for (const line of await initialise(config, options)) process.stdout.write(`${line}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof ConfigError) && !(error instanceof SetupError) && !(error instanceof Error)) throw error;
    process.stderr.write(`${error.message}\n`);
    return error instanceof ConfigError ? 78 : 1;
  }
}

interface Choices {
  readonly passphraseFile?: string;
  /** Gives up an audit log that was lost or tampered with; the new one begins by saying so. */
  readonly replaceLog: boolean;
}

/** Makes or completes the store; returns what a person should know. */
async function initialise(config: Installation, options: Choices): Promise<string[]> {
  const said: string[] = [];
  const { slot, directory } = config.keyServer;
  const secret =
    slot.kind === 'file' ? fileSecret(slot.file ?? '', directory) : passphraseSecret(options.passphraseFile);
  if (await makeStore(config, secret)) said.push(`key store made in ${directory}`);
  if (secret.development) {
    said.push('WARNING: the slot file was made by init; this store is marked for development and warns at every start');
  }

  const clock = { now: () => new Date() };
  const keeper = await openKeeper({ config, clock, log: silent, replaceLog: options.replaceLog });
  try {
    await keeper.unseal(slot.kind, secret.bytes);
    said.push(...fillCredentials(config, keeper.store().serviceAuthority).map((file) => `made ${file}`));
    said.push(...(await beginPolicy(config, keeper)));
  } finally {
    await keeper.close();
    secret.bytes.fill(0);
  }
  return said;
}

async function makeStore(config: Installation, secret: SlotSecret): Promise<boolean> {
  const database = openDatabase(config.keyServer.directory, true);
  try {
    if (readOuter(database)) return false;
    const root = newRoot();
    const id = newStoreId();
    const slot = await makeSlot(config.keyServer.slot.kind, secret.bytes, root, id);
    const keks = using(root, () => makeKeks(root, id));
    writeOuter(database, { id, development: secret.development, slots: [slot], keks });
    return true;
  } finally {
    database.close();
  }
}

function fileSecret(file: string, directory: string): SlotSecret {
  if (!slotFileExists(file)) {
    // A mount that is missing must not be taken for a wish to start anew.
    if (storeExists(directory)) throw new SetupError(`the slot file ${file} of the store in ${directory} is not there`);
    makeSlotFile(file);
  }
  return readSlotFile(file);
}

function passphraseSecret(file: string | undefined): SlotSecret {
  if (file === undefined)
    throw new SetupError('the passphrase is needed: --passphrase-file FILE, - for standard input');
  const bytes = passphraseBytes(readFileSync(file === '-' ? 0 : file, 'utf8').replace(/\r?\n$/, ''));
  if (bytes.length < leastPassphrase)
    throw new SetupError(`the passphrase must have at least ${leastPassphrase} characters`);
  return { bytes, development: false };
}

function readArgs(args: readonly string[]): (Choices & { config: string }) | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        config: { type: 'string' },
        'passphrase-file': { type: 'string' },
        'replace-audit-log': { type: 'boolean', default: false },
      },
    });
    if (values.config === undefined) return undefined;
    const file = values['passphrase-file'];
    const replaceLog = values['replace-audit-log'];
    return { config: values.config, replaceLog, ...(file === undefined ? {} : { passphraseFile: file }) };
  } catch {
    return undefined;
  }
}

/** A person runs `init` and reads what it prints. */
const silent: Log = { event: () => undefined };
