// Live leases: who holds which key until when. A worker that was taken over must not empty the store at wire speed, so they are
// counted per client certificate; the name that a process gives itself proves nothing. And they can be called back: revocations.ts.

import { fail } from '@sealpost/core';
import { type Holder, processOf, type Revocations, type RevokedLeases } from './revocations.ts';
import type { Records } from './store/records.ts';

interface Lease extends Holder {
  readonly keyId: string;
  readonly until: Date;
}

/** What a process holds, in numbers. */
interface HeldLeases extends Holder {
  readonly leases: number;
}

export interface Leases {
  /** Counts a lease until it ends; in the transaction that read the key, or it may be called back in between. Error: `lease-overloaded`. */
  take(lease: Lease, now: Date): void;
  /** How many live. */
  live(now: Date): number;
  held(now: Date): HeldLeases[];
  /** Calls leases back: of a key, or all of a worker. Returns the processes that hold one and have to say that it is gone. */
  revoke(what: RevokedLeases, now: Date): Promise<Holder[]>;
  /** A process says that it holds none any more. */
  giveBack(holder: Holder): Promise<void>;
  readonly revocations: Revocations;
}

/** `perClient`: the cap that holds now. */
export function openLeases(perClient: () => number, revocations: Revocations, records: Records): Leases {
  const byClient = new Map<string, Lease[]>();

  /** Those that have not ended; the others are forgotten. */
  function liveOf(client: string, now: Date): Lease[] {
    const own = byClient.get(client) ?? [];
    // All live about equally long, so the oldest ends first.
    const ended = own.findIndex(({ until }) => until > now);
    if (ended < 0) byClient.delete(client);
    else if (ended > 0) own.splice(0, ended);
    return ended < 0 ? [] : own;
  }

  function forget(client: string, isGone: (lease: Lease) => boolean): void {
    const own = byClient.get(client) ?? [];
    byClient.set(
      client,
      own.filter((lease) => !isGone(lease)),
    );
  }

  const all = (now: Date): Lease[] => [...byClient.keys()].flatMap((client) => liveOf(client, now));

  return {
    revocations,
    take(lease, now) {
      const own = liveOf(lease.client, now);
      if (own.length >= perClient()) throw fail('lease-overloaded');
      own.push(lease);
      byClient.set(lease.client, own);
    },
    live: (now) => all(now).length,
    held: (now) =>
      [...Map.groupBy(all(now), processOf)].flatMap(([, leases]) => {
        const [first] = leases;
        return first
          ? [{ client: first.client, name: first.name, instance: first.instance, leases: leases.length }]
          : [];
      }),
    revoke: (what, now) =>
      records.transaction(async () => {
        const hit = all(now).filter(
          (lease) => (what.keyId ?? lease.keyId) === lease.keyId && revocations.concerns(what, lease),
        );
        const holders = [...new Map(hit.map((lease) => [processOf(lease), lease])).values()];
        await revocations.add(what, holders, now);
        const gone = new Set(hit);
        records.whenCommitted(() => {
          for (const client of byClient.keys()) forget(client, (lease) => gone.has(lease));
        });
        return holders;
      }),
    async giveBack(holder) {
      forget(holder.client, ({ instance }) => instance === holder.instance);
      await revocations.acknowledge(holder);
    },
  };
}
