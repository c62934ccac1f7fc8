// A backup's store opened in a scratch place that goes afterwards: what is in it is looked at before anything is put where it counts.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, type Log, SetupError } from '@sealpost/core';
import { type Installation, parseHead } from '@sealpost/service';
import { openHsm } from '../hsm/open-hsm.ts';
import { type Keeper, openKeeper } from '../keeper.ts';
import type { Backup } from './backup-file.ts';
import { type Checkpoint, restoreStore } from './restore.ts';

export interface Scratch {
  readonly backup: Backup;
  readonly config: Installation;
  readonly clock: Clock;
  /** Opens the store as an operator would. */
  unseal(keeper: Keeper): Promise<void>;
}

/** Runs `use` on the open store. Throws what kept it from opening. */
export async function inScratch<T>(
  { backup, config, clock, unseal }: Scratch,
  use: (keeper: Keeper) => Promise<T>,
): Promise<T> {
  const scratch = mkdtempSync(join(tmpdir(), 'sealpost-scratch-'));
  const { pkcs11 } = config.keyServer;
  const hsm = pkcs11 && openHsm({ ...pkcs11, onFailure: () => undefined });
  try {
    const place = scratchConfig(config, scratch);
    await restoreStore(backup, place, { checkpoint: ownHead(backup), acceptLoss: 0 });
    const keeper = await openKeeper({ config: place, clock, log: silent, replaceLog: true, ...(hsm ? { hsm } : {}) });
    try {
      await unseal(keeper);
      return await use(keeper);
    } finally {
      await keeper.close();
    }
  } finally {
    await hsm?.close();
    rmSync(scratch, { recursive: true, force: true });
  }
}

function scratchConfig(config: Installation, scratch: string): Installation {
  const { keyServer } = config;
  const audit = { ...keyServer.audit, file: join(scratch, 'audit', 'audit.log') };
  return { ...config, keyServer: { ...keyServer, directory: join(scratch, 'keys'), audit } };
}

/** What is asked here is whether the backup opens, not whether it is the newest. */
function ownHead({ manifest }: Backup): Checkpoint {
  const head = parseHead(manifest.head);
  if (!head) throw new SetupError('the backup names no head of the audit log');
  return { text: manifest.head, head, key: manifest.key };
}

/** It speaks to nobody but the person who gave the command. */
const silent: Log = { event: () => undefined };
