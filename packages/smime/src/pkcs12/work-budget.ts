// How much key derivation one file may ask for. Iteration counts are the file's, so they are the attacker's.
import { SmimeError } from '../errors.ts';

/** Firefox writes 600,000 iterations and needs nine derivations for a pair of keys; ten million are some ten seconds. */
const MAX_ITERATIONS = 10_000_000;

export class WorkBudget {
  #left = MAX_ITERATIONS;

  /** Throws SmimeError `limit-exceeded` once the file has asked for too much. */
  spend(iterations: number): void {
    this.#left -= iterations;
    if (this.#left < 0) throw new SmimeError('limit-exceeded');
  }
}
