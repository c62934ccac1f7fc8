// `main.ts backup WORD`: what custodians do with a backup, without the running service. `sealpost backup` calls it.
// Exit codes: 0 done, 1 refused or not passed, 64 usage, 78 configuration.

import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { SetupError } from '@sealpost/core';
import { ConfigError, loadConfig } from '@sealpost/service';
import { readPassphrase } from '../init-slots.ts';
import type { Keeper } from '../keeper.ts';
import { openStored, type Secrets } from '../open-stored.ts';
import { drill } from './drill.ts';
import { makeQuorum } from './quorum.ts';
import { type BackupKeys, missingRecords, readBackup, readCheckpoint } from './restore.ts';
import { type ApprovedRestore, readOrder, restoreApproved } from './restore-approved.ts';

const usage = `Usage:
  main.ts backup quorum --needed N --of M --out PREFIX
  main.ts backup verify FILE --recipient FILE --share FILE... [--checkpoint FILE]
  main.ts backup restore FILE --config FILE --recipient FILE --share FILE... --checkpoint FILE [--accept-loss N|all] [SECRET]
    [--request FILE --approval FILE... | --quorum-alone]
  main.ts backup drill FILE --config FILE --recipient FILE --share FILE... [SECRET]
SECRET, what opens the store where nothing does by itself:
  --passphrase-file FILE | --unseal-share FILE... [--share-key FILE]
`;

const options = {
  config: { type: 'string' },
  needed: { type: 'string' },
  of: { type: 'string' },
  out: { type: 'string' },
  recipient: { type: 'string' },
  share: { type: 'string', multiple: true },
  checkpoint: { type: 'string' },
  'accept-loss': { type: 'string' },
  request: { type: 'string' },
  approval: { type: 'string', multiple: true },
  'quorum-alone': { type: 'boolean' },
  'passphrase-file': { type: 'string' },
  'unseal-share': { type: 'string', multiple: true },
  'share-key': { type: 'string' },
} as const;

export async function backupCommand(args: readonly string[]): Promise<number> {
  try {
    process.stdout.write(`${JSON.stringify(await runBackup(args))}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const isUsage = error instanceof UsageFault || (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS');
    process.stderr.write(isUsage ? usage : `${error.message}\n`);
    return isUsage ? 64 : error instanceof ConfigError ? 78 : 1;
  }
}

/** What the command prints. Throws what it says on standard error. */
export async function runBackup(args: readonly string[]): Promise<unknown> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const [word, file, ...more] = positionals;
  const run = word !== undefined && Object.hasOwn(words, word) && more.length === 0 ? words[word] : undefined;
  if (!run) throw new UsageFault();
  return await run(new Given(values), file);
}

class UsageFault extends Error {}

type Values = Readonly<Partial<Record<keyof typeof options, string | string[] | boolean>>>;

/** What stood on the command line; what is needed and did not is a wrong command line. */
class Given {
  readonly #values: Values;

  constructor(values: Values) {
    this.#values = values;
  }

  maybe(name: keyof typeof options): string | undefined {
    const value = this.#values[name];
    return typeof value === 'string' ? value : undefined;
  }

  need(name: keyof typeof options): string {
    const value = this.maybe(name);
    if (value === undefined) throw new UsageFault();
    return value;
  }

  keys(): BackupKeys {
    return { recipientFile: this.need('recipient'), shareFiles: this.#list('share') };
  }

  secrets(): Secrets {
    const passphraseFile = this.maybe('passphrase-file');
    return {
      ...(passphraseFile === undefined ? {} : { passphraseFile, passphrase: readPassphrase(passphraseFile) }),
      shareFiles: this.#list('unseal-share'),
      shareKey: this.maybe('share-key'),
    };
  }

  /** Who wants a restore. */
  order(): ApprovedRestore['order'] {
    const request = this.maybe('request');
    const approvals = this.#list('approval');
    const isAlone = this.#values['quorum-alone'] === true;
    if (request === undefined ? approvals.length > 0 : isAlone) throw new UsageFault();
    if (request !== undefined) return readOrder(request, approvals);
    return isAlone ? 'quorum-alone' : undefined;
  }

  #list(name: keyof typeof options): readonly string[] {
    const value = this.#values[name];
    return Array.isArray(value) ? value : [];
  }
}

type Run = (given: Given, file: string | undefined) => Promise<unknown>;

const words: Readonly<Record<string, Run>> = {
  async quorum(given) {
    const out = given.need('out');
    const { recipient, shares } = await makeQuorum(Number(given.need('needed')), Number(given.need('of')));
    const write = (name: string, content: unknown, mode: number): string => {
      writeFileSync(name, `${JSON.stringify(content)}\n`, { mode, flag: 'wx' });
      return name;
    };
    return {
      recipient: write(`${out}.recipient.json`, recipient, 0o644),
      shares: shares.map((share, at) => write(`${out}.share-${at + 1}.json`, share, 0o600)),
    };
  },

  async verify(given, file = fault()) {
    const backup = await readBackup(file, given.keys());
    const { createdAt, store, head, key } = backup.manifest;
    const checkpoint = given.maybe('checkpoint');
    const missing = checkpoint === undefined ? undefined : missingRecords(backup, readCheckpoint(checkpoint));
    return { createdAt, store, head, key, bytes: backup.store.length, missing };
  },

  async restore(given, file = fault()) {
    const config = loadConfig(given.need('config'));
    const checkpoint = readCheckpoint(given.need('checkpoint'));
    const loss = given.maybe('accept-loss') ?? '0';
    const acceptLoss = loss === 'all' ? loss : Number(loss);
    if (acceptLoss !== 'all' && !(Number.isInteger(acceptLoss) && acceptLoss >= 0)) throw new UsageFault();
    const order = given.order();
    const [sealed, backup] = [readFileSync(file), await readBackup(file, given.keys())];
    const secrets = given.secrets();
    const said = await restoreApproved({ backup, sealed, config, checkpoint, acceptLoss, secrets, order });
    return { restored: config.keyServer.directory, createdAt: backup.manifest.createdAt, said };
  },

  async drill(given, file = fault()) {
    const config = loadConfig(given.need('config'));
    const backup = await readBackup(file, given.keys());
    const secrets = given.secrets();
    const clock = { now: () => new Date() };
    const unseal = (keeper: Keeper) => openStored(keeper, config, secrets);
    const done = await drill({ backup, config, clock, unseal }, readFileSync(file));
    if (!done.report.passed) throw new SetupError(`the drill did not pass: ${JSON.stringify(done.report)}`);
    return done;
  },
};

function fault(): never {
  throw new UsageFault();
}
