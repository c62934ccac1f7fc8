// What the fuzzing thread and the one that watches it tell each other.

import type { CoverageSummary } from './coverage.ts';
import type { MemorySample, MemoryVerdict } from './memory.ts';

export interface Order {
  readonly target: string;
  readonly seconds: number;
  readonly seed: number;
  readonly replay?: Uint8Array;
  /** Two integers: count of executions, octets of the input that runs. */
  readonly state: SharedArrayBuffer;
  /** The input that runs. */
  readonly input: SharedArrayBuffer;
}

export interface Report {
  readonly target: string;
  readonly seed: number;
  readonly seconds: number;
  readonly executions: number;
  readonly perSecond: number;
  /** Processor time of the slowest execution. */
  readonly slowestMs: number;
  /** Inputs that reached new code, seeds included. */
  readonly corpus: number;
  readonly corpusBytes: number;
  /** By room of the engine, and `all`. */
  readonly coverage: Readonly<Record<string, CoverageSummary>>;
  readonly memory: MemoryVerdict & { readonly samples: readonly MemorySample[] };
  readonly findings: readonly string[];
}

export interface Finding {
  readonly kind: string;
  readonly stack: string;
  readonly input: Uint8Array;
}

export type Message =
  | { readonly kind: 'progress'; readonly report: Report }
  | { readonly kind: 'done'; readonly report: Report; readonly slowest: Uint8Array }
  | { readonly kind: 'finding'; readonly finding: Finding };
