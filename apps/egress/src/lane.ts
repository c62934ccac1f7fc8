// Admission to one route: how many connections and bytes of mail it may hold, and its rest after the next hop could not be reached.
// What finds no place is told when to come back, so that neither a dead next hop nor a busy one keeps the process from the others.

import type { Clock } from '@sealpost/core';
import { retryDelayMs } from '@sealpost/core';

/** As many deliveries may wait in memory as are under way; the rest waits in the queue. */
const waitingPerConnection = 1;
/** Least time before a delivery that found no place comes back. */
const shortestTurnMs = 250;
/** Longest, whatever the length of the line: the guess about its speed gets old. */
const longestTurnMs = 60_000;
/** Longest rest of a next hop that stays away: mail flows again this soon after it is back. */
const longestRestMs = 60_000;
/** Weight of the newest delivery in the mean time of one. */
const meanWeight = 0.1;

export interface LaneLimits {
  readonly connections: number;
  readonly bytesInFlight: number;
}

export type Admission =
  | { readonly kind: 'enter' }
  /** No place before `at`; `resting`: because the next hop could not be reached. */
  | { readonly kind: 'later'; readonly at: Date; readonly resting: boolean };

export interface Lane {
  /** Takes a place for so many bytes, waiting a while where only connections are short. Each `enter` needs one `leave`. */
  enter(bytes: number): Promise<Admission>;
  leave(bytes: number, tookMs: number): void;
  /** The next hop could not be reached: the route rests. */
  failed(): void;
  /** The next hop was reached. */
  reached(): void;
  bytesHeld(): number;
}

export function lane({ connections, bytesInFlight }: LaneLimits, clock: Clock, random: () => number): Lane {
  let active = 0;
  let held = 0;
  let failures = 0;
  let restUntil = 0;
  let lastTurn = 0;
  let meanMs = 0;
  let waiting: { readonly bytes: number; readonly tell: (admission: Admission) => void }[] = [];

  const now = () => clock.now().getTime();
  const isResting = () => now() < restUntil;
  // After a failure one delivery tries the next hop before the others follow.
  const places = () => (failures > 0 ? 1 : connections);

  /** Turns are given out at the speed at which the route delivers, so that each job comes back about when there is a place. */
  function later(): Admission {
    const start = Math.max(now(), restUntil) + shortestTurnMs;
    lastTurn = Math.min(Math.max(start, lastTurn + meanMs / connections), Math.max(now(), restUntil) + longestTurnMs);
    return { kind: 'later', at: new Date(lastTurn), resting: isResting() };
  }

  function letIn(): void {
    while (waiting.length > 0 && active < places() && !isResting()) {
      active++;
      waiting.shift()?.tell({ kind: 'enter' });
    }
  }

  return {
    async enter(bytes) {
      // A message above the whole allowance passes alone.
      const hasRoom = held === 0 || held + bytes <= bytesInFlight;
      if (isResting() || !hasRoom) return later();
      if (active < places()) {
        active++;
        held += bytes;
        return { kind: 'enter' };
      }
      if (waiting.length >= connections * waitingPerConnection) return later();
      held += bytes;
      return new Promise((tell) => waiting.push({ bytes, tell }));
    },
    leave(bytes, tookMs) {
      active--;
      held -= bytes;
      meanMs = meanMs === 0 ? tookMs : meanMs + (tookMs - meanMs) * meanWeight;
      letIn();
    },
    failed() {
      // Connections that were opened together fail together; that is one failure.
      if (isResting()) return;
      restUntil = now() + Math.min(longestRestMs, retryDelayMs(failures, random()));
      failures++;
      const turnedAway = waiting;
      waiting = [];
      for (const { bytes, tell } of turnedAway) {
        held -= bytes;
        tell(later());
      }
    },
    reached() {
      failures = 0;
      letIn();
    },
    bytesHeld: () => held,
  };
}
