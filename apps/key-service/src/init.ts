// `main.ts init --config FILE …`: makes the store with its slots, the service CA, the tenants' keys and everybody's credentials. Run
// again it fills what is missing and leaves the rest.

import { parseArgs } from 'node:util';
import { type Log, SetupError } from '@sealpost/core';
import {
  ConfigError,
  type Installation,
  loadConfig,
  type MadeSlot,
  readCustodian,
  readSlotWish,
  type ShareFiles,
  type SlotWish,
} from '@sealpost/service';
import { fillCredentials } from './credentials.ts';
import type { Hsm } from './hsm/hsm.ts';
import { openHsm } from './hsm/open-hsm.ts';
import { makeSlots, wishedSlots } from './init-slots.ts';
import { type Keeper, openKeeper } from './keeper.ts';
import { openStored, type Secrets } from './open-stored.ts';
import { beginPolicy, firstPerson } from './policy/begin.ts';
import { newStoreId, readOuter, writeOuter } from './store/outer.ts';
import { openDatabase } from './store/sqlite-database.ts';
import { using } from './vault/box.ts';
import { makeKeks } from './vault/keks.ts';
import { slotFacts } from './vault/slot-book.ts';
import { newRoot, sealSlot } from './vault/slots.ts';

const usage = `Usage: main.ts init --config FILE [options]
  --slot [LABEL=]KIND   for a new store, may come several times: passphrase, file:PATH, shamir:3/5, pkcs11:KEY
  --passphrase-file F   the passphrase; - for standard input
  --shares-dir DIR      where the shares of a new store go, a file each
  --custodian NAME=PEM  a custodian's X25519 public key, one a share: seals each share to its own
  --share-file F        a share that opens a store that is there; may come several times
  --share-key F         private key that opens a sealed share
  --person ROLE/NAME=F  one of the first people of a store for production, with the public key
  --replace-audit-log   gives up an audit log that was lost or tampered with
`;

/** Exit codes: 0 done, 1 could not, 64 usage, 78 configuration. */
export async function init(args: readonly string[]): Promise<number> {
  try {
    const options = readArgs(args);
    if (!options) {
      process.stderr.write(usage);
      return 64;
    }
    const config = loadConfig(options.config);
    for (const line of await initialise(config, options)) process.stdout.write(`${line}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    process.stderr.write(`${error.message}\n`);
    return error instanceof ConfigError ? 78 : 1;
  }
}

interface Choices extends Secrets {
  readonly wishes?: readonly SlotWish[];
  readonly shares?: ShareFiles | undefined;
  /** Gives up an audit log that was lost or tampered with; the new one begins by saying so. */
  readonly replaceLog: boolean;
  /** `ROLE/NAME=FILE`: the first people of the store. */
  readonly persons?: readonly string[];
  /** Runs as soon as the store is open. */
  opened?(keeper: Keeper): Promise<void>;
}

/** Makes or completes the store; returns what a person should know. */
export async function initialise(config: Installation, options: Choices): Promise<string[]> {
  const said: string[] = [];
  const { pkcs11 } = config.keyServer;
  const hsm = pkcs11 && openHsm({ ...pkcs11, onFailure: (reason) => said.push(`the token failed: ${reason}`) });
  try {
    const made = await makeStore(config, options, hsm, said);
    const clock = { now: () => new Date() };
    const { replaceLog } = options;
    const keeper = await openKeeper({ config, clock, log: silent, replaceLog, ...(hsm ? { hsm } : {}) });
    try {
      if (made) await openMade(keeper, made);
      else await openStored(keeper, config, options);
      await options.opened?.(keeper);
      const files = await fillCredentials(config, keeper.store().serviceAuthority);
      said.push(...files.map((file) => `made ${file}`));
      said.push(...(await beginPolicy(config, keeper, (options.persons ?? []).map(firstPerson))));
      if (made && (await keeper.status()).risk === 'one-slot') {
        said.push('WARNING: the store has one slot; losing its secret loses every key (see docs/key-management.md)');
      }
    } finally {
      await keeper.close();
      for (const { secret } of made ?? []) secret?.fill(0);
    }
    return said;
  } finally {
    await hsm?.close();
  }
}

/** The slots of the new store with their secrets, or undefined when there is one. */
async function makeStore(config: Installation, options: Choices, hsm: Hsm | undefined, said: string[]) {
  const { directory } = config.keyServer;
  const database = await openDatabase(directory, true);
  try {
    if (await readOuter(database)) {
      if (!options.wishes?.length) return undefined;
      throw new SetupError('the store is made already; change its slots with `sealpost key-service slot`');
    }
    const wishes = wishedSlots(config, options.wishes ?? []);
    const { made, development } = await makeSlots(config, { ...options, wishes });
    const facts = await Promise.all(made.map(({ slot }) => slotFacts(slot, hsm)));
    const id = newStoreId();
    const outer = using(newRoot(), (root) => {
      const slots = facts.map((each) => sealSlot(each, root, id, new Date()));
      return { id, development, slots, keks: makeKeks(root, id) };
    });
    await writeOuter(database, outer);
    said.push(`key store made in ${directory}`);
    const files = made.flatMap(({ shareFiles }) => shareFiles);
    said.push(...files.map((file) => `made ${file}: give it to its custodian and keep no copy`));
    if (development) {
      said.push(
        'WARNING: the slot file was made by init; this store is marked for development and warns at every start',
      );
    }
    return made;
  } finally {
    await database.close();
  }
}

async function openMade(keeper: Keeper, made: readonly MadeSlot[]): Promise<void> {
  const known = made.find(({ secret }) => secret !== undefined);
  if (known?.secret) await keeper.unseal(known.slot.kind, known.secret);
  else await keeper.unsealByToken();
}

function readArgs(args: readonly string[]): (Choices & { config: string }) | undefined {
  const values = parse(args);
  if (values?.config === undefined) return undefined;
  const directory = values['shares-dir'];
  const custodians = (values.custodian ?? []).map(readCustodian);
  return {
    config: values.config,
    wishes: (values.slot ?? []).map(readSlotWish),
    passphraseFile: values['passphrase-file'],
    shares: directory === undefined ? undefined : { directory, custodians },
    shareFiles: values['share-file'] ?? [],
    shareKey: values['share-key'],
    persons: values.person ?? [],
    replaceLog: values['replace-audit-log'],
  };
}

function parse(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        config: { type: 'string' },
        slot: { type: 'string', multiple: true },
        'passphrase-file': { type: 'string' },
        'shares-dir': { type: 'string' },
        custodian: { type: 'string', multiple: true },
        'share-file': { type: 'string', multiple: true },
        'share-key': { type: 'string' },
        'replace-audit-log': { type: 'boolean', default: false },
        person: { type: 'string', multiple: true, default: [] },
      },
    });
    return values;
  } catch {
    return undefined;
  }
}

/** A person runs `init` and reads what it prints. */
const silent: Log = { event: () => undefined };
