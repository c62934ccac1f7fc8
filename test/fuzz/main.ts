// Runs a fuzz target for a while: structured changes to messages, kept when they reach new code of the engine. docs/fuzzing.md tells
// what is checked, and why no ready-made engine is used.
// Usage: npm run fuzz -- mime|ber|cms|path [--seconds N] [--seed N] [--json]
//        npm run fuzz -- TARGET --replay FILE      one saved input again

import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import type { MemorySample } from './memory.ts';
import type { Finding, Message, Order, Report } from './report.ts';

const TARGETS = ['mime', 'ber', 'cms', 'path'];

/** An execution without end; wall time, and the machine may be busy. */
const HANG_MS = 60_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    replay: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const [target = ''] = positionals;
if (!TARGETS.includes(target)) {
  process.stderr.write(`No fuzz target '${target}'; there are ${TARGETS.join(', ')}.\n`);
  process.exit(2);
}

const directory = new URL('findings/', import.meta.url);
const saved: string[] = [];

function save({ kind, stack, input }: Finding): void {
  mkdirSync(directory, { recursive: true });
  const name = `${target}-${createHash('sha256').update(input).digest('hex').slice(0, 12)}`;
  writeFileSync(new URL(name, directory), input);
  writeFileSync(new URL(`${name}.txt`, directory), `${kind}\n${stack}\n`);
  saved.push(name);
  process.stderr.write(`finding ${name}: ${kind}\n`);
}

const percent = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(1)} %`;
const mebibytes = (octets: number): string => `${(octets / 1024 / 1024).toFixed(1)} MiB`;

function memoryLine({ heapUsed, external, rss }: MemorySample): string {
  return `heap ${mebibytes(heapUsed)}, external ${mebibytes(external)}, resident ${mebibytes(rss)}`;
}

function line({ executions, perSecond, corpus, coverage: { all }, memory: { samples }, findings }: Report): string {
  const code =
    all === undefined
      ? ''
      : `${percent(all.octetsRun, all.octets)} of code, ${percent(all.functionsRun, all.functions)} of functions`;
  const memory = samples.slice(-1).map(memoryLine).join();
  return `${target}: ${executions} executions, ${perSecond.toFixed(0)}/s, ${code}, corpus ${corpus}, ${memory}, findings ${findings.length}`;
}

function finish(report: Report): void {
  const { flat, growth, rssGrowth, samples } = report.memory;
  const ok = report.findings.length === 0 && flat !== 'no';
  if (values.json)
    process.stdout.write(`${JSON.stringify({ name: 'fuzz', ok, ...report, saved })}
`);
  else {
    process.stdout.write(`${line(report)}
`);
    for (const [room, { functions, functionsRun, octets, octetsRun }] of Object.entries(report.coverage)) {
      process.stdout.write(
        `  ${room.padEnd(8)} ${percent(octetsRun, octets)} of code, ${functionsRun} of ${functions} functions
`,
      );
    }
    process.stdout.write(`  slowest ${report.slowestMs.toFixed(0)} ms
`);
    for (const third of [1, 2, 3]) {
      const sample = samples[Math.ceil((samples.length * third) / 3) - 1];
      if (sample !== undefined)
        process.stdout.write(`  at ${third}/3: ${memoryLine(sample)}
`);
    }
    process.stdout.write(
      `memory flat: ${flat} (in the last two thirds ${mebibytes(growth)}, resident ${mebibytes(rssGrowth)})
`,
    );
  }
  process.exitCode = ok ? 0 : 1;
}

const state = new SharedArrayBuffer(8);
const input = new SharedArrayBuffer(1 << 20);
const order: Order = {
  target,
  seconds: Number(values.seconds),
  seed: Number(values.seed),
  ...(values.replay === undefined ? {} : { replay: readFileSync(values.replay) }),
  state,
  input,
};
const worker = new Worker(new URL('loop.ts', import.meta.url), { workerData: order });
const counts = new Int32Array(state);

let [seen, since] = [-1, performance.now()];
const watch = setInterval(() => {
  const [executions = 0, length = 0] = counts;
  if (executions !== seen) [seen, since] = [executions, performance.now()];
  else if (executions > 0 && performance.now() - since > HANG_MS) {
    stop('does not end', Uint8Array.from(new Uint8Array(input, 0, length)));
  }
}, 1000);

function stop(kind: string, hanging: Uint8Array): void {
  clearInterval(watch);
  save({ kind, stack: '', input: hanging });
  process.exitCode = 1;
  void worker.terminate();
}

worker.on('message', (message: Message) => {
  if (message.kind === 'finding') save(message.finding);
  else if (message.kind === 'progress') process.stderr.write(`${line(message.report)}\n`);
  else {
    if (order.seconds > 0) writeFileSync(new URL(`${target}-slowest`, directory), message.slowest);
    finish(message.report);
  }
});
worker.on('error', (error: Error) =>
  stop(
    `the thread ended: ${error.message}\n${error.stack ?? ''}`,
    Uint8Array.from(new Uint8Array(input, 0, counts[1] ?? 0)),
  ),
);
worker.on('exit', () => clearInterval(watch));
