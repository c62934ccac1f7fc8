// The fuzzing thread: choose an input, change it, run it; keep what reached new code. Coverage is read once for a batch of executions,
// because reading costs as much as dozens of them; only a batch that shows something new is run again one by one.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { parentPort, workerData } from 'node:worker_threads';
import { Coverage } from './coverage.ts';
import { Random } from './random.ts';
import type { Finding, Message, Order, Report } from './report.ts';
import type { Target } from './target.ts';

/** Processor time that one execution may take: a message of this size takes a thousandth of it. */
const PATIENCE_MS = 2000;

/** Longer inputs show nothing that shorter ones do not. */
const MAX_INPUT = 256 * 1024;
const MAX_CORPUS_BYTES = 64 * 1024 * 1024;

/** Changes on top of each other before an input runs. */
const MAX_STACKED = 4;
const BATCH = 64;
const PROGRESS_MS = 15_000;
/** Caches fill and code is compiled before memory is measured. */
const WARM_UP_MS = 20_000;
const MAX_FINDINGS = 100;

const order: Order = workerData;
const state = new Int32Array(order.state);
const current = Buffer.from(order.input);
const coverage = new Coverage();
coverage.start();
const { target } = (await import(`./targets/${order.target}.ts`)) as { target: Target };
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const random = new Random(order.seed);
const corpus: Buffer[] = [];
const findings = new Map<string, Finding>();
let [executions, slowestMs, corpusBytes] = [0, 0, 0];
let slowest = Buffer.alloc(0);

function post(message: Message): void {
  parentPort?.postMessage(message);
}

async function execute(input: Buffer): Promise<void> {
  // Shown to the watching thread, which saves it if this execution never ends.
  input.copy(current);
  state[1] = input.length;
  state[0] = executions += 1;
  const start = process.threadCpuUsage();
  try {
    await target.run(input);
  } catch (error) {
    report(error, input);
  }
  const { user, system } = process.threadCpuUsage(start);
  const spent = (user + system) / 1000;
  if (spent > slowestMs) [slowestMs, slowest] = [spent, Buffer.from(input)];
  if (spent > PATIENCE_MS) report(new RangeError(`took ${PATIENCE_MS} ms and more`), input);
}

function report(error: unknown, input: Buffer): void {
  const { name, message, stack = '' } = error instanceof Error ? error : new Error(String(error));
  const [place = ''] = /packages\/smime\/src\/\S+|test\/fuzz\/targets\/\S+/.exec(stack) ?? [];
  const kind = `${name}: ${message} (${place.replace(/[):]+$/, '')})`;
  if (findings.has(kind) || findings.size === MAX_FINDINGS) return;
  const finding = { kind, stack, input: Uint8Array.from(input) };
  findings.set(kind, finding);
  post({ kind: 'finding', finding });
}

function mutated(): Buffer {
  // The latest additions are where new code was found: every third choice is one of them.
  const from = random.once(3) ? Math.floor(corpus.length * 0.9) : 0;
  let input = corpus[from + random.below(corpus.length - from)] ?? Buffer.alloc(0);
  for (let times = 1 + random.below(MAX_STACKED); times > 0; times--) {
    const changed = target.mutate(input.length === 0 ? Buffer.from('0') : input, random.pick(corpus), random);
    input = changed.length > MAX_INPUT ? changed.subarray(0, MAX_INPUT) : changed;
  }
  return input;
}

function keep(input: Buffer): void {
  if (corpusBytes + input.length > MAX_CORPUS_BYTES) return;
  corpus.push(Buffer.from(input));
  corpusBytes += input.length;
}

function memory(): Report['memory']['start'] {
  collect();
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, heapUsed, external };
}

function summary(started: number, start: Report['memory']['start']): Report {
  const seconds = (performance.now() - started) / 1000;
  const { target: name, seed } = order;
  return {
    target: name,
    seed,
    seconds,
    executions,
    perSecond: executions / seconds,
    slowestMs,
    corpus: corpus.length,
    corpusBytes,
    coverage: coverage.summary(),
    memory: { start, end: memory() },
    findings: [...findings.keys()],
  };
}

async function replay(input: Uint8Array): Promise<void> {
  const started = performance.now();
  await execute(Buffer.from(input));
  coverage.take(true);
  post({ kind: 'done', report: summary(started, memory()), slowest });
}

async function fuzz(): Promise<void> {
  for (const seed of target.seeds) {
    keep(seed);
    await execute(seed);
  }
  coverage.take(true);
  const started = performance.now();
  let start: Report['memory']['start'] | undefined;
  let shown = started;
  while (performance.now() - started < order.seconds * 1000) {
    const batch = Array.from({ length: BATCH }, mutated);
    for (const input of batch) await execute(input);
    if (coverage.take(false) > 0) {
      for (const input of batch) {
        await execute(input);
        if (coverage.take(true) > 0) keep(input);
      }
    }
    const now = performance.now();
    if (start === undefined && now - started > WARM_UP_MS) start = memory();
    if (now - shown > PROGRESS_MS) {
      shown = now;
      post({ kind: 'progress', report: summary(started, start ?? memory()) });
    }
  }
  post({ kind: 'done', report: summary(started, start ?? memory()), slowest });
}

await (order.replay === undefined ? fuzz() : replay(order.replay));
