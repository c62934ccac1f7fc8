// The slots of a store that `init` makes: those that were asked for, and those that open it by themselves. Each secret is made or
// read here and overwritten when the store is open.

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { SetupError } from '@sealpost/core';
import {
  fileSlot,
  type Installation,
  type NewSlot,
  passphraseBytes,
  passphraseSlot,
  readQuorum,
  type ShareFiles,
  type SlotWish,
  shamirSlot,
  writeShares,
} from '@sealpost/service';
import { automaticSlots } from './open-by-itself.ts';
import { makeSlotFile, readSlotFile, slotFileExists } from './vault/slot-file.ts';

export interface Wanted {
  readonly slot: NewSlot;
  /** What opens it; a token's slot opens by the token. */
  readonly secret?: Buffer;
  readonly development: boolean;
}

export interface SlotChoices {
  readonly wishes: readonly SlotWish[];
  readonly passphraseFile: string | undefined;
  /** Where shares go; needed for them only. */
  readonly shares: ShareFiles | undefined;
}

/** What was asked for, else what the configuration names, else a passphrase; and always what opens the store by itself. */
export function wishedSlots({ keyServer }: Installation, asked: readonly SlotWish[]): SlotWish[] {
  const automatic = automaticSlots(keyServer).map((slot): SlotWish => {
    const argument = slot.kind === 'file' ? slot.file : slot.label;
    return { label: slot.kind, kind: slot.kind, argument };
  });
  const missing = automatic.filter(
    ({ kind, argument }) => !asked.some((wish) => wish.kind === kind && wish.argument === argument),
  );
  const wishes = [...asked, ...missing];
  if (wishes.length === 0) return [{ label: 'passphrase', kind: 'passphrase', argument: '' }];
  // Two of a kind without a name get numbers.
  const labels = new Map<string, number>();
  return wishes.map((wish) => {
    const times = (labels.get(wish.label) ?? 0) + 1;
    labels.set(wish.label, times);
    return times === 1 ? wish : { ...wish, label: `${wish.label}-${times}` };
  });
}

/** Makes the slots; what a person should know is put into `said`. Throws SetupError. */
export async function makeWanted(config: Installation, choices: SlotChoices, said: string[]): Promise<Wanted[]> {
  const wanted: Wanted[] = [];
  for (const wish of choices.wishes) wanted.push(await makeOne(config, wish, choices, said));
  return wanted;
}

async function makeOne(config: Installation, wish: SlotWish, choices: SlotChoices, said: string[]): Promise<Wanted> {
  const { label, kind, argument } = wish;
  switch (kind) {
    case 'passphrase': {
      const secret = readPassphrase(choices.passphraseFile);
      return { slot: await passphraseSlot(label, secret), secret, development: false };
    }
    case 'file': {
      if (!slotFileExists(argument)) makeSlotFile(argument);
      const { bytes, development } = readSlotFile(argument);
      return { slot: await fileSlot(label, bytes), secret: bytes, development };
    }
    case 'pkcs11':
      return { slot: { kind, label, key: argument }, development: false };
    case 'shamir': {
      if (!choices.shares) throw new SetupError('shares need a place: --shares-dir DIR');
      const { threshold, count } = readQuorum(argument);
      const secret = randomBytes(32);
      const { slot, shares } = await shamirSlot(label, threshold, count, secret);
      const files = writeShares(shares, { label, threshold, installation: config.installation }, choices.shares);
      for (const share of shares) share.fill(0);
      said.push(...files.map((file) => `made ${file}: give it to its custodian and keep no copy`));
      return { slot, secret, development: false };
    }
  }
}

/** Throws SetupError. */
export function readPassphrase(file: string | undefined): Buffer {
  if (file === undefined)
    throw new SetupError('the passphrase is needed: --passphrase-file FILE, - for standard input');
  return passphraseBytes(readFileSync(file === '-' ? 0 : file, 'utf8').replace(/\r?\n$/, ''));
}
