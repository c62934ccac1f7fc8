// Admission to one route: how many connections and bytes of mail it may hold, and its rest after the next hop could not be reached.
// What finds no place soon is told when to come back, so that neither a dead next hop nor a slow one keeps the process from the
// others.

import type { Clock } from '@sealpost/core';
import { retryDelayMs } from '@sealpost/core';

/** How long a delivery waits in memory for a connection: long for a fast route, where a place is a matter of milliseconds. */
const patienceMs = 300;
/** Least time before a delivery that found no place comes back. */
const shortestTurnMs = 50;
/** Longest, whatever the length of the line: the guess about its speed gets old. */
const longestTurnMs = 60_000;
/** Until this many deliveries were timed, the guess is made from cold ones, and the longest turn is short. */
const warmAfter = 50;
const longestColdTurnMs = 500;
/** Turns come at twice the speed of deliveries: coming too early costs a look, coming too late leaves the route idle. */
const turnsPerDelivery = 2;
/** The mail of a resting route is looked at this slowly: looking costs a blob and a decryption, and thousands may wait for it. */
const restingGapMs = 5;
const longestRestingTurnMs = 10 * 60_000;
/** Longest rest of a next hop that stays away: mail flows again this soon after it is back. */
const longestRestMs = 60_000;
/** Weight of the newest delivery in the mean time of one. */
const meanWeight = 0.1;

export interface LaneLimits {
  readonly connections: number;
  /** Deliveries of the process that this route may have under way at a time, whatever its connections. */
  readonly share: number;
  readonly bytesInFlight: number;
}

export type Admission =
  | { readonly kind: 'enter' }
  /** No place before `at`; `resting`: because the next hop could not be reached. */
  | { readonly kind: 'later'; readonly at: Date; readonly resting: boolean };

export interface Lane {
  /** Takes a place for so many bytes, waiting a moment where only connections are short. Each `enter` needs one `leave`. */
  enter(bytes: number): Promise<Admission>;
  leave(bytes: number, tookMs: number): void;
  /** The next hop could not be reached: the route rests. */
  failed(): void;
  /** The next hop was reached. */
  reached(): void;
  bytesHeld(): number;
}

interface Waiting {
  readonly bytes: number;
  readonly timer: NodeJS.Timeout;
  readonly tell: (admission: Admission) => void;
}

export function lane({ connections, share, bytesInFlight }: LaneLimits, clock: Clock, random: () => number): Lane {
  let active = 0;
  let held = 0;
  let failures = 0;
  let restUntil = 0;
  let lastTurn = 0;
  let meanMs = 0;
  let timed = 0;
  /** When a delivery last came or went, by the process's own time. */
  let movedAt = 0;
  const waiting: Waiting[] = [];

  const now = () => clock.now().getTime();
  const isResting = () => now() < restUntil;
  // After a failure one delivery tries the next hop before the others follow.
  const places = () => (failures > 0 ? 1 : Math.min(connections, share));
  /** A next hop that hangs shows in the time since anything moved, before any delivery ends. */
  const expectedWaitMs = () => Math.max(((waiting.length + 1) * meanMs) / places(), performance.now() - movedAt);

  /** Turns are given out at the speed at which the route delivers, so that each job comes back about when there is a place. */
  function later(): Admission {
    const resting = isResting();
    const start = Math.max(now(), restUntil) + shortestTurnMs;
    const gap = Math.max(meanMs / places() / turnsPerDelivery, resting ? restingGapMs : 0);
    const longest = resting ? longestRestingTurnMs : timed < warmAfter ? longestColdTurnMs : longestTurnMs;
    lastTurn = Math.min(Math.max(start, lastTurn + gap), start + longest);
    return { kind: 'later', at: new Date(lastTurn), resting };
  }

  function start(): Admission {
    active++;
    movedAt = performance.now();
    return { kind: 'enter' };
  }

  function letIn(): void {
    while (waiting.length > 0 && active < places() && !isResting()) settle(waiting.shift(), start);
  }

  function settle(one: Waiting | undefined, decide: () => Admission): void {
    if (!one) return;
    clearTimeout(one.timer);
    const admission = decide();
    if (admission.kind === 'later') held -= one.bytes;
    one.tell(admission);
  }

  return {
    async enter(bytes) {
      // A message above the whole allowance passes alone.
      const hasRoom = held === 0 || held + bytes <= bytesInFlight;
      if (isResting() || !hasRoom) return later();
      if (active < places()) {
        held += bytes;
        return start();
      }
      if (expectedWaitMs() > patienceMs) return later();
      held += bytes;
      return new Promise((tell) => {
        const timer = setTimeout(() => settle(waiting.splice(waiting.indexOf(one), 1)[0], later), patienceMs);
        const one = { bytes, timer, tell };
        waiting.push(one);
      });
    },
    leave(bytes, tookMs) {
      active--;
      held -= bytes;
      timed++;
      movedAt = performance.now();
      meanMs = meanMs === 0 ? tookMs : meanMs + (tookMs - meanMs) * meanWeight;
      letIn();
    },
    failed() {
      // Connections that were opened together fail together; that is one failure.
      if (isResting()) return;
      restUntil = now() + Math.min(longestRestMs, retryDelayMs(failures, random()));
      failures++;
      for (const one of waiting.splice(0)) settle(one, later);
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
