// What opens the store without a person: a file that a secret manager mounts, or a key in a token. As the configuration names them, in
// its order. A token that does not answer is tried again until it opens, somebody else opened or sealed the store, or the service ends.

import type { Log } from '@sealpost/core';
import { KeyFault, type KeyServerConfig } from '@sealpost/service';
import type { Keeper } from './keeper.ts';
import { readSlotFile } from './vault/slot-file.ts';

/** A token that restarts with its machine is there after some seconds; one that is mended by people, within a minute of it. */
const firstWaitMs = 2_000;
const longestWaitMs = 60_000;

export type AutomaticSlot =
  | { readonly kind: 'file'; readonly file: string }
  | { readonly kind: 'pkcs11'; readonly label: string };

/** `slots`, after the one of the older `slot`. */
export function automaticSlots({ slot, slots }: KeyServerConfig): AutomaticSlot[] {
  const older = slot.kind === 'file' ? [slot] : [];
  return [...older, ...slots].flatMap((each): AutomaticSlot[] => {
    if ('label' in each && each.kind === 'pkcs11' && each.label !== undefined)
      return [{ kind: 'pkcs11', label: each.label }];
    return each.kind === 'file' && each.file !== undefined ? [{ kind: 'file', file: each.file }] : [];
  });
}

/** Opens the store. Throws SetupError for a file that cannot be used, and the keeper's faults. */
export async function openBy(keeper: Keeper, slot: AutomaticSlot): Promise<void> {
  if (slot.kind === 'pkcs11') {
    await keeper.unsealByToken();
    return;
  }
  const { bytes, development } = readSlotFile(slot.file);
  await keeper.unseal('file', bytes).finally(() => bytes.fill(0));
  if (development) await keeper.markDevelopment();
}

export interface Opening {
  /** Ends the waiting for a token. */
  stop(): void;
}

/** Tries each way once before it resolves; a token that did not answer goes on being tried. */
export async function openByItself(config: KeyServerConfig, keeper: Keeper, log: Log): Promise<Opening> {
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;

  /** `waitMs`: until the next time, if there is one. */
  async function tryAll(waitMs: number, isAgain: boolean): Promise<void> {
    const slots = automaticSlots(config);
    let awaitsToken = false;
    for (const slot of slots) {
      try {
        await openBy(keeper, slot);
        return;
      } catch (error) {
        if (error instanceof KeyFault && error.code === 'hsm-unavailable') awaitsToken = true;
        else log.event('process.failed', { reason: 'slot', ...(error instanceof Error ? { error } : {}) });
      }
    }
    if (slots.length === 0) return;
    // Opened meanwhile by a person, or sealed by one who wants it so.
    if (isStopped || (isAgain && keeper.reason() !== 'awaits-token')) return;
    keeper.slotFailed(awaitsToken ? 'awaits-token' : 'slot-unreadable');
    if (!awaitsToken) return;
    log.event('store.awaits-token', { durationMs: waitMs });
    timer = setTimeout(() => {
      if (keeper.reason() === 'awaits-token') void tryAll(Math.min(2 * waitMs, longestWaitMs), true);
    }, waitMs);
  }

  await tryAll(firstWaitMs, false);
  return {
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}
