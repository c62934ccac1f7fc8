// Random choices that a seed repeats: splitmix32.

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** An integer from 0 up to but without `bound`; 0 for a bound below 1. */
  below(bound: number): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return bound < 1 ? 0 : ((mixed ^ (mixed >>> 15)) >>> 0) % bound;
  }

  /** True once in `times`. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(choices: readonly T[]): T {
    const choice = choices[this.below(choices.length)];
    if (choice === undefined) throw new RangeError('nothing to pick from');
    return choice;
  }

  /** A part of `length` octets or characters: start and end, short ones more often. */
  span(length: number): [number, number] {
    const start = this.below(length);
    const most = this.once(4) ? length - start : Math.min(length - start, 16);
    return [start, start + 1 + this.below(most)];
  }
}
