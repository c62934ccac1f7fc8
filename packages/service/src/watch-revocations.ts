// A worker's ear for leases that are called back: one request stays open from the first lease on; what it brings is dropped from
// memory and acknowledged. While the service is away, leases end by themselves, in five minutes at most.

import { setTimeout as sleep } from 'node:timers/promises';
import type { KeyConnection } from './key-connection.ts';
import { within } from './within.ts';

/** Between two requests, whatever came back: a service that answers at once must not make a busy loop. */
const pauseMs = 100;
const awayPauseMs = 2_000;
/** A worker that ends has no time for a service that does not answer. */
const farewellMs = 500;

export interface RevocationWatch {
  /** This process holds a lease. */
  begin(): void;
  /** Says that this process holds no lease any more; the caller dropped them. */
  end(): Promise<void>;
}

export interface HeldKeys {
  /** Without an id: all. */
  drop(keyId?: string): void;
  /** Drops those that have ended. */
  sweep(): void;
}

export function watchRevocations(connection: KeyConnection, instance: string, held: HeldKeys): RevocationWatch {
  let running = false;
  let ended = false;

  async function listen(): Promise<void> {
    while (!ended) {
      const isThere = await ask().then(
        () => true,
        () => false,
      );
      held.sweep();
      await sleep(isThere ? pauseMs : awayPauseMs, undefined, { ref: false });
    }
  }

  async function ask(): Promise<void> {
    const { revocations } = await connection.call('revocations', { instance });
    if (revocations.length === 0 || ended) return;
    for (const { keyId } of revocations) held.drop(keyId);
    await connection.call('revocation-acknowledge', { instance, ids: revocations.map(({ id }) => id) });
  }

  return {
    begin() {
      if (running || ended) return;
      running = true;
      void listen();
    },
    async end() {
      ended = true;
      if (running) await within(farewellMs, () => connection.call('lease-return', { instance })).catch(() => undefined);
    },
  };
}
