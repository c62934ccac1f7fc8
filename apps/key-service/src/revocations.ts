// Leases that were called back before their end. Workers keep a request open that is answered at once when there is one; they drop
// the key and say so. A client certificate under which a process does not say so in time gets no key until it does, or until the
// lease would have ended anyway. What was called back is kept in the store: a restart must not forget whom to tell.

import { randomUUID } from 'node:crypto';
import { fail } from '@sealpost/core';
import { installationTenant } from './authority/authority.ts';
import type { Records } from './store/records.ts';

/** A process that holds leases. */
export interface Holder {
  /** SHA-256 of its client certificate. */
  readonly client: string;
  /** The certificate's name. */
  readonly name: string;
  /** What the process calls itself. */
  readonly instance: string;
}

/** Of one key, or of one worker: a process, a certificate's name or its SHA-256. */
export interface RevokedLeases {
  readonly keyId?: string;
  readonly worker?: string;
}

interface Revocation extends RevokedLeases {
  readonly id: string;
  readonly at: Date;
  /** No lease that it concerns lives longer. */
  readonly until: Date;
  /** Processes that were known to hold one and have not said that it is gone. */
  readonly awaited: readonly Holder[];
}

export interface Revocations {
  add(what: RevokedLeases, awaited: readonly Holder[], now: Date): Promise<void>;
  concerns(what: RevokedLeases, holder: Holder): boolean;
  /** What this process has not acknowledged, once there is something or the time is over. */
  next(holder: Holder, waitMs: number, now: () => Date): Promise<Revocation[]>;
  /** Without ids: all of them. */
  acknowledge(holder: Holder, ids?: readonly string[]): Promise<void>;
  list(now: Date): Revocation[];
  /** Error: `lease-overloaded` for a client that did not acknowledge in time. */
  assertTrusted(client: string, now: Date): void;
  /** Processes that did not acknowledge in time, with the revocation. */
  late(now: Date): { readonly id: string; readonly holder: Holder }[];
  /** Answers every open request, and every later one at once. */
  release(): void;
}

export interface RevocationLimits {
  /** The longest life of a lease. */
  readonly leaseMs: number;
  readonly acknowledgeMs: number;
}

interface Kept {
  readonly v: 1;
  readonly id: string;
  readonly keyId?: string;
  readonly worker?: string;
  readonly at: string;
  readonly until: string;
  readonly awaited: readonly Holder[];
}

export function processOf({ client, instance }: Holder): string {
  return `${client} ${instance}`;
}

export async function openRevocations(records: Records, limits: RevocationLimits): Promise<Revocations> {
  const known = new Map((await recall(records)).map((revocation) => [revocation.id, revocation]));
  /** Processes that acknowledged, by revocation. */
  const acknowledged = new Map<string, Set<string>>();
  let waiting: (() => void)[] = [];
  let released = false;

  const wake = (): void => {
    for (const go of waiting.splice(0)) go();
  };

  const live = (now: Date): Revocation[] => [...known.values()].filter(({ until }) => until > now);

  /** In the store, and in memory with the commit. */
  async function keep(revocation: Revocation): Promise<void> {
    await records.replace(place(revocation.id), Buffer.from(JSON.stringify({ v: 1, ...revocation } satisfies object)));
    records.whenCommitted(() => known.set(revocation.id, revocation));
  }

  /** What concerns no lease any more. */
  async function dropEnded(now: Date): Promise<void> {
    const ended = [...known.values()].filter(({ until }) => until <= now);
    for (const { id } of ended) {
      await records.remove(place(id));
      records.whenCommitted(() => {
        known.delete(id);
        acknowledged.delete(id);
      });
    }
  }

  const openFor = (holder: Holder, now: Date): Revocation[] =>
    live(now).filter((each) => concerns(each, holder) && !acknowledged.get(each.id)?.has(processOf(holder)));

  const isLate = ({ at }: Revocation, now: Date): boolean => now.getTime() > at.getTime() + limits.acknowledgeMs;

  return {
    concerns,
    add: (what, awaited, now) =>
      records.transaction(async () => {
        await dropEnded(now);
        const until = new Date(now.getTime() + limits.leaseMs);
        await keep({ ...what, id: randomUUID(), at: now, until, awaited: awaited.map(onlyHolder) });
        records.whenCommitted(wake);
      }),
    async next(holder, waitMs, now) {
      const open = openFor(holder, now());
      if (open.length > 0 || released) return open;
      await new Promise<void>((resolve) => {
        const go = (): void => {
          clearTimeout(timer);
          waiting = waiting.filter((each) => each !== go);
          resolve();
        };
        const timer = setTimeout(go, waitMs);
        waiting.push(go);
      });
      // The store may have been sealed meanwhile.
      return released ? [] : openFor(holder, now());
    },
    acknowledge: (holder, ids) =>
      records.transaction(async () => {
        for (const revocation of [...known.values()]) {
          if ((ids && !ids.includes(revocation.id)) || !concerns(revocation, holder)) continue;
          const awaited = revocation.awaited.filter((each) => processOf(each) !== processOf(holder));
          if (awaited.length < revocation.awaited.length) await keep({ ...revocation, awaited });
          records.whenCommitted(() => {
            const said = acknowledged.get(revocation.id) ?? new Set();
            acknowledged.set(revocation.id, said.add(processOf(holder)));
          });
        }
      }),
    list: live,
    assertTrusted(client, now) {
      const isCutOff = live(now).some(
        (each) => isLate(each, now) && each.awaited.some(({ client: of }) => of === client),
      );
      if (isCutOff) throw fail('lease-overloaded');
    },
    late: (now) =>
      live(now)
        .filter((each) => isLate(each, now))
        .flatMap(({ id, awaited }) => awaited.map((holder) => ({ id, holder }))),
    release() {
      released = true;
      wake();
    },
  };
}

function concerns({ worker }: RevokedLeases, { client, name, instance }: Holder): boolean {
  return worker === undefined || [client, name, instance].includes(worker);
}

function onlyHolder({ client, name, instance }: Holder): Holder {
  return { client, name, instance };
}

function place(id: string) {
  return { kind: 'revocation', tenant: installationTenant, owner: '', id } as const;
}

async function recall(records: Records): Promise<Revocation[]> {
  return (await records.ofTenant('revocation', installationTenant)).map((content) => {
    const { v, at, until, ...rest } = JSON.parse(content.toString('utf8')) as Kept;
    if (v !== 1) throw fail('version-unsupported');
    return { ...rest, at: new Date(at), until: new Date(until) };
  });
}
