// A restore as people decide on it: what they approved is judged on the backup's own register in a scratch place, then the store is put
// in its place, and the new log begins by saying who wanted it so, or that the quorum of shares did it alone.

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Installation, readRestoreApproval, readRestoreRequest } from '@sealpost/service';
import { restoreAct } from '../acts/names.ts';
import { initialise } from '../init.ts';
import type { Keeper } from '../keeper.ts';
import { openStored, type Secrets } from '../open-stored.ts';
import { type Backup, sha256Of } from './backup-file.ts';
import { assertRestorable, type Checkpoint, missingRecords, restoreStore } from './restore.ts';
import { assertApproved, type RestoreOrder } from './restore-approvals.ts';
import { inScratch } from './scratch.ts';

export interface ApprovedRestore {
  readonly backup: Backup;
  /** The file that it came in. */
  readonly sealed: Buffer;
  readonly config: Installation;
  readonly checkpoint: Checkpoint;
  readonly acceptLoss: number | 'all';
  /** What opens the store. */
  readonly secrets: Secrets;
  /** `quorum-alone`: too few people are left to approve anything. */
  readonly order: RestoreOrder | 'quorum-alone' | undefined;
}

/** Files of a request and its approvals. Throws SetupError. */
export function readOrder(requestFile: string, approvalFiles: readonly string[]): RestoreOrder {
  return {
    request: readRestoreRequest(readFileSync(requestFile)),
    approvals: approvalFiles.map((file) => readRestoreApproval(readFileSync(file))),
  };
}

/** Returns what a person should know. Throws SetupError, and the keeper's faults. */
export async function restoreApproved(restore: ApprovedRestore): Promise<string[]> {
  const { backup, sealed, config, checkpoint, acceptLoss, secrets, order } = restore;
  const options = { checkpoint, acceptLoss: acceptLoss === 'all' ? Number.POSITIVE_INFINITY : acceptLoss };
  assertRestorable(backup, config, options);
  const clock = { now: () => new Date() };
  if (order !== 'quorum-alone') {
    const facts = { sealed, checkpoint: { head: checkpoint.text, key: checkpoint.key }, acceptLoss };
    const unseal = (keeper: Keeper) => openStored(keeper, config, secrets);
    await inScratch({ backup, config, clock, unseal }, (keeper) =>
      assertApproved(order, facts, keeper.store(), clock.now()),
    );
  }
  await restoreStore(backup, config, options);
  // The log that the store knows is gone with the old machine: a new one begins and says which it follows.
  return await initialise(config, { replaceLog: true, ...secrets, opened: (keeper) => record(keeper, restore) });
}

async function record(keeper: Keeper, { backup, sealed, checkpoint, order }: ApprovedRestore): Promise<void> {
  const lost = missingRecords(backup, checkpoint);
  const common = {
    at: new Date(),
    kind: 'event',
    request: randomUUID(),
    actor: { role: 'key-service', name: 'restore' },
    act: restoreAct,
  } as const;
  const { append } = keeper.journal();
  const made = order === 'quorum-alone' ? undefined : order;
  const asked = made && { approval: made.request.asked.id, digest: made.request.hash };
  for (const { signatory } of made?.approvals ?? []) {
    const person = `${signatory.role}/${signatory.name}`;
    const { certificate } = signatory;
    await append({ ...common, operation: 'restore-approve', ...asked, person, certificate, result: 'ok' });
  }
  const requester = made?.request.asked.requester;
  await append({
    ...common,
    operation: 'store-restored',
    digest: sha256Of(sealed),
    ...asked,
    ...(requester ? { person: `${requester.role}/${requester.name}` } : {}),
    ...(Number.isFinite(lost) ? { count: lost } : {}),
    result: order === 'quorum-alone' ? order : 'ok',
  });
}
