// A clock that stands still until a test moves it.

import type { Clock } from '@sealpost/core';

export interface ManualClock extends Clock {
  /** Moves on by milliseconds. */
  advance(ms: number): void;
  set(at: Date): void;
}

export function manualClock(start: Date = new Date('2026-01-01T00:00:00Z')): ManualClock {
  let at = start.getTime();
  return {
    now: () => new Date(at),
    advance(ms) {
      at += ms;
    },
    set(to) {
      at = to.getTime();
    },
  };
}
