// The slots of a store that `init` makes: those that were asked for, and those that open it by themselves.

import { readFileSync } from 'node:fs';
import { SetupError } from '@sealpost/core';
import {
  type Installation,
  type MadeSlot,
  makeNewSlot,
  passphraseBytes,
  type ShareFiles,
  type SlotWish,
} from '@sealpost/service';
import { automaticSlots } from './open-by-itself.ts';
import { makeSlotFile, readSlotFile, slotFileExists } from './vault/slot-file.ts';

export interface SlotChoices {
  readonly wishes: readonly SlotWish[];
  readonly passphraseFile?: string | undefined;
  readonly shares?: ShareFiles | undefined;
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
  const times = new Map<string, number>();
  return wishes.map((wish) => {
    const time = (times.get(wish.label) ?? 0) + 1;
    times.set(wish.label, time);
    return time === 1 ? wish : { ...wish, label: `${wish.label}-${time}` };
  });
}

/** Makes the slots; `development` when one's file had to be made. Throws SetupError. */
export async function makeSlots({ installation }: Installation, { wishes, passphraseFile, shares }: SlotChoices) {
  let development = false;
  const file = (path: string): Buffer => {
    if (!slotFileExists(path)) makeSlotFile(path);
    const read = readSlotFile(path);
    development ||= read.development;
    return read.bytes;
  };
  const sources = { installation, passphrase: () => readPassphrase(passphraseFile), file, shares };
  const made: MadeSlot[] = [];
  for (const wish of wishes) made.push(await makeNewSlot(wish, sources));
  return { made, development };
}

/** Throws SetupError. */
export function readPassphrase(file: string | undefined): Buffer {
  if (file === undefined)
    throw new SetupError('the passphrase is needed: --passphrase-file FILE, - for standard input');
  return passphraseBytes(readFileSync(file === '-' ? 0 : file, 'utf8').replace(/\r?\n$/, ''));
}
