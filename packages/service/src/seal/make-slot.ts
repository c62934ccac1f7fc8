// A new slot from what a person wrote: makes or reads its secret and gives its public half, which is all that the service needs to
// seal the root to it.

import { randomBytes } from 'node:crypto';
import { SetupError } from '@sealpost/core';
import { type ShareFiles, writeShares } from './share-files.ts';
import type { NewSlot } from './slot-forms.ts';
import { fileSlot, passphraseSlot, shamirSlot } from './slot-secret.ts';
import { readQuorum, type SlotWish } from './slot-wish.ts';

export interface SlotSources {
  /** Named in the shares' files. */
  readonly installation: string;
  passphrase(): Buffer;
  file(path: string): Buffer;
  /** Where shares go; needed for them only. */
  readonly shares: ShareFiles | undefined;
}

export interface MadeSlot {
  readonly slot: NewSlot;
  /** What opens it, for the caller to overwrite; the service makes that of a token's slot. */
  readonly secret?: Buffer;
  /** Files with shares, which are for their custodians. */
  readonly shareFiles: readonly string[];
}

/** Throws SetupError. */
export async function makeNewSlot({ label, kind, argument }: SlotWish, sources: SlotSources): Promise<MadeSlot> {
  switch (kind) {
    case 'passphrase': {
      const secret = sources.passphrase();
      return { slot: await passphraseSlot(label, secret), secret, shareFiles: [] };
    }
    case 'file': {
      const secret = sources.file(argument);
      return { slot: await fileSlot(label, secret), secret, shareFiles: [] };
    }
    case 'pkcs11':
      return { slot: { kind, label, key: argument }, shareFiles: [] };
    case 'shamir': {
      if (!sources.shares) throw new SetupError('shares need a place: --shares-dir DIR');
      const { threshold, count } = readQuorum(argument);
      const secret = randomBytes(32);
      const { slot, shares } = await shamirSlot(label, threshold, count, secret);
      const { installation } = sources;
      const shareFiles = writeShares(shares, { label, threshold, installation }, sources.shares);
      for (const share of shares) share.fill(0);
      return { slot, secret, shareFiles };
    }
  }
}
