// Live leases, counted per client certificate: a worker that was taken over must not empty the store at wire speed. The name
// that a process gives itself proves nothing, so workers that share a certificate share its cap.

import { fail } from '@sealpost/core';

export interface Leases {
  /** Counts a lease until it ends. Error: `lease-overloaded`. */
  take(client: string, until: Date, now: Date): void;
  /** How many live. */
  live(now: Date): number;
}

/** `perClient`: the cap that holds now. */
export function openLeases(perClient: () => number): Leases {
  const ends = new Map<string, Ends>();
  return {
    take(client, until, now) {
      const own = ends.get(client) ?? new Ends();
      if (own.live(now.getTime()) >= perClient()) throw fail('lease-overloaded');
      own.add(until.getTime());
      ends.set(client, own);
    },
    live: (now) => [...ends.values()].reduce((sum, own) => sum + own.live(now.getTime()), 0),
  };
}

/** Ends in the order of taking: all leases live equally long, so the oldest ends first. */
class Ends {
  #times: number[] = [];
  #from = 0;

  add(time: number): void {
    this.#times.push(time);
  }

  live(now: number): number {
    while (this.#from < this.#times.length && (this.#times[this.#from] ?? 0) <= now) this.#from++;
    if (this.#from > 1_024) {
      this.#times = this.#times.slice(this.#from);
      this.#from = 0;
    }
    return this.#times.length - this.#from;
  }
}
