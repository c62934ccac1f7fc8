// Opens a store outside of the running service, for `init` and a drill: by the passphrase or the shares that somebody gave, else by
// what opens it by itself.

import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { SetupError } from '@sealpost/core';
import { type Installation, readShare, shareForService } from '@sealpost/service';
import { readPassphrase } from './init-slots.ts';
import type { Keeper } from './keeper.ts';
import { automaticSlots, openBy } from './open-by-itself.ts';
import { slotFileExists } from './vault/slot-file.ts';

/** Files with what opens a store. */
export interface Secrets {
  readonly passphraseFile?: string | undefined;
  /** What that file holds, where it was read already: standard input comes once. */
  readonly passphrase?: Buffer;
  readonly shareFiles?: readonly string[];
  /** The custodian's private key, for shares that are sealed to it. */
  readonly shareKey?: string | undefined;
}

/** Throws SetupError, and the keeper's faults. */
export async function openStored(keeper: Keeper, { keyServer }: Installation, secrets: Secrets): Promise<void> {
  const { passphraseFile, shareFiles = [], shareKey } = secrets;
  if (shareFiles.length > 0) {
    const key = shareKey === undefined ? undefined : createPrivateKey(readFileSync(shareKey));
    for (const file of shareFiles) {
      const share = readShare(readFileSync(file, 'utf8'), key);
      await keeper.unsealShare(shareForService(share, (await keeper.status()).unsealKey));
      share.fill(0);
    }
    if (keeper.isSealed()) throw new SetupError('these shares are not enough');
    return;
  }
  const [automatic] = automaticSlots(keyServer);
  if (automatic && passphraseFile === undefined) {
    // A mount that is missing must not be taken for a wish to start anew.
    if (automatic.kind === 'file' && !slotFileExists(automatic.file))
      throw new SetupError(`the slot file ${automatic.file} of the store in ${keyServer.directory} is not there`);
    await openBy(keeper, automatic);
    return;
  }
  const passphrase = secrets.passphrase ? Buffer.from(secrets.passphrase) : readPassphrase(passphraseFile);
  await keeper.unseal('passphrase', passphrase).finally(() => passphrase.fill(0));
}
