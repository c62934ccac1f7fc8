// How a person writes the slots that he wants: `passphrase`, `file:PATH`, `shamir:3/5`, `pkcs11:KEY`, with a label before it.

import { SetupError } from '@sealpost/core';
import { leastThreshold, maxShares } from './shamir.ts';
import type { SlotKind } from './slot-forms.ts';

/** How a person writes a slot: `KIND[:ARGUMENT]`, with `LABEL=` before it to call it something else than its kind. */
export interface SlotWish {
  readonly label: string;
  readonly kind: SlotKind;
  /** `3/5` for shamir, a path for file, the key's label for pkcs11. */
  readonly argument: string;
}

/** Throws SetupError. */
export function readSlotWish(text: string): SlotWish {
  const [, label, kind, argument = ''] =
    /^(?:([a-z0-9][a-z0-9.-]{0,62})=)?(passphrase|file|shamir|pkcs11)(?::(.+))?$/.exec(text) ?? [];
  const isWhole = kind === 'passphrase' ? argument === '' : argument !== '';
  if (!kind || !isWhole) {
    throw new SetupError('a slot is written as passphrase, file:PATH, shamir:3/5 or pkcs11:KEY, with LABEL= before it');
  }
  return { label: label ?? kind, kind: kind as SlotKind, argument };
}

/** The two numbers of `3/5`. Throws SetupError. */
export function readQuorum(text: string): { threshold: number; count: number } {
  const [, threshold, count] = /^(\d{1,2})\/(\d{1,2})$/.exec(text) ?? [];
  const quorum = { threshold: Number(threshold), count: Number(count) };
  if (!(quorum.threshold >= leastThreshold && quorum.threshold <= quorum.count && quorum.count <= maxShares)) {
    throw new SetupError(`shares are written as 3/5, three of five: at least ${leastThreshold}, at most ${maxShares}`);
  }
  return quorum;
}
