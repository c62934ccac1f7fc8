// The fuzzing thread: choose an input, change it, run it; keep what reached new code. Coverage is read once for a batch of executions,
// because reading costs as much as dozens of them; only a batch that shows something new is run again one by one.

import { parentPort, workerData } from 'node:worker_threads';
import { Coverage } from './coverage.ts';
import { judgeMemory, type MemorySample, sampleMemory } from './memory.ts';
import { Random } from './random.ts';
import type { Finding, Message, Order, Report } from './report.ts';
import type { Target } from './target.ts';

/** Processor time that one execution may take: a message of this size takes a thousandth of it. */
const PATIENCE_MS = 2000;

/** Longer inputs show nothing that shorter ones do not. */
const MAX_INPUT = 256 * 1024;
const MAX_CORPUS_BYTES = 16 * 1024 * 1024;

/** Changes on top of each other before an input runs. */
const MAX_STACKED = 4;
const BATCH = 64;
const PROGRESS_MS = 15_000;
const MAX_FINDINGS = 100;

const order: Order = workerData;
const state = new Int32Array(order.state);
const current = Buffer.from(order.input);
const coverage = new Coverage();
coverage.start();
const { target } = (await import(`./targets/${order.target}.ts`)) as { target: Target };
const { fillCaches } = await import('./fill-caches.ts');

const random = new Random(order.seed);
const corpus: Buffer[] = [];
const findings = new Map<string, Finding>();
const samples: MemorySample[] = [];
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
  // Not from Node's pool, of which each would keep a whole slab.
  const own = Buffer.allocUnsafeSlow(input.length);
  own.set(input);
  corpus.push(own);
  corpusBytes += own.length;
}

async function summary(started: number): Promise<Report> {
  const seconds = (performance.now() - started) / 1000;
  const { target: name, seed } = order;
  samples.push(await sampleMemory({ seconds, executions, corpusBytes }));
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
    memory: { ...judgeMemory(samples), samples },
    findings: [...findings.keys()],
  };
}

async function replay(input: Uint8Array): Promise<void> {
  const started = performance.now();
  await execute(Buffer.from(input));
  coverage.take(true);
  post({ kind: 'done', report: await summary(started), slowest });
}

async function fuzz(): Promise<void> {
  fillCaches();
  for (const seed of target.seeds) {
    keep(seed);
    await execute(seed);
  }
  coverage.take(true);
  const started = performance.now();
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
    if (now - shown > PROGRESS_MS) {
      shown = now;
      post({ kind: 'progress', report: await summary(started) });
    }
  }
  post({ kind: 'done', report: await summary(started), slowest });
}

await (order.replay === undefined ? fuzz() : replay(order.replay));
