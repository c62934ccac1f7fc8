// Runs what the service does by itself while its store is open: every minute what waits (audit records, rewrapping), every hour the
// keys. A round that fails is tried again with the next.

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock, Log, TenantId } from '@sealpost/core';
import type { Keeper } from '../keeper.ts';
import type { OpenStore } from '../open-store.ts';
import { type Due, tendKeys } from './tend-keys.ts';

const tickMs = 60_000;
/** Every key's row is opened for it; what is due is due by days. */
const roundMs = 60 * 60_000;

export interface Tending {
  /** When the next rotation of each tenant and use is due, as of the last round. */
  dues(): readonly Due[];
  stop(): Promise<void>;
}

interface TendingOptions {
  readonly keeper: Pick<Keeper, 'isSealed' | 'store' | 'journal'>;
  readonly tenants: readonly TenantId[];
  readonly clock: Clock;
  readonly log: Log;
}

export function keepTending({ keeper, tenants, clock, log }: TendingOptions): Tending {
  let dues: readonly Due[] = [];
  let tended: { readonly store: OpenStore; readonly at: number } | undefined;
  let running: Promise<void> | undefined;
  let isStopped = false;

  async function round(): Promise<void> {
    if (keeper.isSealed()) return;
    const store = keeper.store();
    await store.outbox.flush(keeper.journal().append);
    while (!isStopped && !keeper.isSealed() && (await store.kekRotation.step())) await nextTurn();
    const now = clock.now().getTime();
    // A store that was opened anew is looked at anew.
    if (tended?.store !== store || now - tended.at >= roundMs) {
      dues = await tendKeys(store, tenants, log);
      tended = { store, at: now };
    }
    await store.outbox.flush(keeper.journal().append);
  }

  function tick(): void {
    running ??= round()
      .catch((error: unknown) => {
        // Sealed in the middle of it: nothing is lost, the rest waits in the store.
        if (!keeper.isSealed()) log.event('key.not-tended', error instanceof Error ? { error } : {});
      })
      .finally(() => {
        running = undefined;
      });
  }

  const timer = setInterval(tick, tickMs);
  timer.unref();
  tick();
  return {
    dues: () => (keeper.isSealed() ? [] : dues),
    async stop() {
      isStopped = true;
      clearInterval(timer);
      await running;
    },
  };
}
