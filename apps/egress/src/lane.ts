// Admission to one route: how many connections and bytes of mail it may hold, and its rest after the next hop could not be reached.
// What finds no place is told when to come back, so that neither a dead next hop nor a busy one keeps the process from the others.

import type { Clock } from '@sealpost/core';
import { retryDelayMs } from '@sealpost/core';

/** Least time before a delivery that found no place comes back. */
const shortestTurnMs = 50;
/** Longest, whatever the length of the line: the guess about its speed gets old. */
const longestTurnMs = 60_000;
/** Until this many deliveries were timed, the guess is made from cold ones, and the longest turn is short. */
const warmAfter = 50;
const longestColdTurnMs = 500;
/** The mail of a resting route is looked at this slowly: looking costs a blob and a decryption, and thousands may wait for it. */
const restingGapMs = 5;
const longestRestingTurnMs = 10 * 60_000;
/** Longest rest of a next hop that stays away: mail flows again this soon after it is back. */
const longestRestMs = 60_000;
/** Turns come at twice the speed of the fastest delivery: coming too early costs a look, coming too late leaves the route idle. */
const turnsPerDelivery = 2;
/** The fastest delivery is forgotten by so much with each one that follows. */
const forgetting = 1.02;

export interface LaneLimits {
  readonly connections: number;
  /** Deliveries of the process that this route may hold at a time, under way or waiting for a connection. */
  readonly share: number;
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

export function lane({ connections, share, bytesInFlight }: LaneLimits, clock: Clock, random: () => number): Lane {
  let active = 0;
  let held = 0;
  let failures = 0;
  let restUntil = 0;
  let lastTurn = 0;
  let fastestMs = 0;
  let timed = 0;
  let waiting: { readonly bytes: number; readonly tell: (admission: Admission) => void }[] = [];

  const now = () => clock.now().getTime();
  const isResting = () => now() < restUntil;
  // After a failure one delivery tries the next hop before the others follow.
  const places = () => (failures > 0 ? 1 : Math.min(connections, share));

  /** Turns are given out at the speed at which the route delivers, so that each job comes back about when there is a place. */
  function later(): Admission {
    const resting = isResting();
    const start = Math.max(now(), restUntil) + shortestTurnMs;
    const gap = Math.max(fastestMs / connections / turnsPerDelivery, resting ? restingGapMs : 0);
    const longest = resting ? longestRestingTurnMs : timed < warmAfter ? longestColdTurnMs : longestTurnMs;
    lastTurn = Math.min(Math.max(start, lastTurn + gap), start + longest);
    return { kind: 'later', at: new Date(lastTurn), resting };
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
      if (active + waiting.length >= share) return later();
      held += bytes;
      return new Promise((tell) => waiting.push({ bytes, tell }));
    },
    leave(bytes, tookMs) {
      active--;
      held -= bytes;
      timed++;
      fastestMs = fastestMs === 0 ? tookMs : Math.min(tookMs, fastestMs * forgetting);
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
      if (failures === 0) return;
      failures = 0;
      // The line that formed during the rest is no measure for what comes now.
      lastTurn = 0;
      letIn();
    },
    bytesHeld: () => held,
  };
}
