// What a fuzz target is: where inputs begin, how they are changed, and what must hold for every one.

import type { Random } from './random.ts';

export interface Target {
  readonly seeds: readonly Buffer[];
  mutate(input: Buffer, other: Buffer, random: Random): Buffer;
  /** Throws for everything that must not be: a Violation, or whatever the engine lets escape. */
  run(input: Buffer): Promise<void> | void;
}

/** An input for which a property does not hold. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

export function must(holds: boolean, property: string): asserts holds {
  if (!holds) throw new Violation(property);
}
