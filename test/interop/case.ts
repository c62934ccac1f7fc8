// One comparison with the work of others: a named case of a set. It passes when `run` returns.

export interface Case {
  /** Row of the table. */
  readonly set: string;
  /** Unique in its set; what docs/interop.md names when it is an exception. */
  readonly name: string;
  run(): Promise<void> | void;
}

/** A set that cannot be run here, and why. */
export interface Absent {
  readonly set: string;
  readonly reason: string;
}
