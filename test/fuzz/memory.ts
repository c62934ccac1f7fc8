// Whether memory stays flat. A sample is what is left after a full collection: JavaScript heap, what hangs on it outside (array buffers,
// OpenSSL's objects as far as Node counts them), and the resident set, in which native memory and the allocator's holes show too.

import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

export interface MemorySample {
  readonly seconds: number;
  readonly executions: number;
  /** Octets, as all that follow. */
  readonly heapUsed: number;
  /** Array buffers included. */
  readonly external: number;
  readonly rss: number;
  /** The inputs that the runner itself keeps, bounded on their own: part of `external`, and no growth of the engine. */
  readonly corpusBytes: number;
}

export interface MemoryVerdict {
  readonly flat: 'yes' | 'no' | 'not judged';
  /** Growth of heap + external − corpus over the last two thirds of the run, by the line that fits the samples best. */
  readonly growth: number;
  /** The same of the resident set. */
  readonly rssGrowth: number;
}

/** A leak of a dozen octets an execution shows in half an hour; feedback that V8 keeps for code that ran late does not. */
const MAX_GROWTH = 2 * 1024 * 1024;

/** Wider: code, V8's young generation and the allocator's holes are in it. A leak of one key object an execution shows. */
const MAX_RSS_GROWTH = 32 * 1024 * 1024;

/** In a shorter run code is still being compiled, and a slow leak hides behind that. */
const MIN_SECONDS = 600;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

export async function sampleMemory(
  facts: Pick<MemorySample, 'seconds' | 'executions' | 'corpusBytes'>,
): Promise<MemorySample> {
  // Native parts are freed in a task after the collection that found them, and their buffers by the next.
  for (let times = 0; times < 3; times++) {
    collect();
    await turn();
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return { ...facts, heapUsed, external, rss };
}

/** The first third is for code to be compiled and for what V8 learns about it. */
export function judgeMemory(samples: readonly MemorySample[]): MemoryVerdict {
  const end = samples.at(-1)?.seconds ?? 0;
  const late = samples.filter(({ seconds }) => seconds >= end / 3);
  const growth = growthOf(late, ({ heapUsed, external, corpusBytes }) => heapUsed + external - corpusBytes);
  const rssGrowth = growthOf(late, ({ rss }) => rss);
  const isFlat = growth < MAX_GROWTH && rssGrowth < MAX_RSS_GROWTH;
  return { flat: end < MIN_SECONDS ? 'not judged' : isFlat ? 'yes' : 'no', growth, rssGrowth };
}

/** Slope of the least squares line × length of time. */
function growthOf(samples: readonly MemorySample[], octets: (sample: MemorySample) => number): number {
  const mean = (of: (sample: MemorySample) => number): number =>
    samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length;
  const [time, level] = [mean(({ seconds }) => seconds), mean(octets)];
  const spread = mean(({ seconds }) => (seconds - time) ** 2);
  const slope = mean((sample) => (sample.seconds - time) * (octets(sample) - level)) / spread;
  return Math.round(slope * ((samples.at(-1)?.seconds ?? 0) - (samples[0]?.seconds ?? 0))) || 0;
}
