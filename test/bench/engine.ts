// What the S/MIME engine costs: processor time for one message, signed and encrypted or decrypted and verified, and the ratio to the same
// primitives called by hand on node:crypto; beside them pkijs, `openssl cms` and Bouncy Castle. All in turns in one run, the median of rounds.
// Usage: npm run bench -- engine [--json] [--rounds N] [--bytes N]… [--keys rsa|rsa-3072|p256]… [--only NAME]…
//        Names: raw, sealpost, pkijs, openssl cms, bouncy castle; raw and sealpost are what the targets are about

import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { WORKER_NODE_FLAGS } from '../../apps/cli/src/up/node-flags.ts';
import { bouncy, stopBouncy } from './engine/bouncy.ts';
import type { Direction } from './engine/contender.ts';
import { openssl } from './engine/openssl.ts';
import { pkijs } from './engine/pkijs.ts';
import { raw } from './engine/raw.ts';
import { type Kind, makeScene, type Scene } from './engine/scene.ts';
import { sealpost } from './engine/sealpost.ts';

/** All contenders in a process like a worker, and with the collector at hand. */
const NODE_FLAGS = [...WORKER_NODE_FLAGS, '--expose-gc'];
if (!NODE_FLAGS.every((flag) => process.execArgv.includes(flag))) {
  const own = [...NODE_FLAGS, import.meta.filename, ...process.argv.slice(2)];
  process.exit(spawnSync(process.execPath, own, { stdio: 'inherit' }).status ?? 1);
}

/** Processor time of one sample: short enough for turns, long enough for the clock. */
const SAMPLE_MS = 150;
const SAMPLE_TIMES = 500;

/** Ratio to raw that the engine has to meet from this size on. */
const TARGETS: Readonly<Partial<Record<Kind, number>>> = { rsa: 1.3, p256: 1.6 };
const TARGET_BYTES = 77_000;

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '9' },
    bytes: { type: 'string', multiple: true, default: ['4000', '77000', '1000000', '25000000'] },
    keys: { type: 'string', multiple: true, default: ['rsa', 'rsa-3072', 'p256'] },
    only: { type: 'string', multiple: true },
  },
});
const rounds = Number(values.rounds);
const contenders = [raw, sealpost, pkijs, openssl, bouncy].filter(({ name }) => values.only?.includes(name) !== false);

interface Cell {
  readonly name: string;
  readonly cpuMs?: number;
  /** Median over rounds of the ratio within a round. */
  readonly toRaw?: number;
  readonly skipped?: string;
}

interface Row {
  readonly keys: string;
  readonly bytes: number;
  readonly direction: Direction;
  readonly cells: readonly Cell[];
  readonly target?: number;
  readonly met?: boolean;
}

const rows: Row[] = [];
for (const keys of values.keys as Kind[]) {
  for (const bytes of values.bytes.map(Number)) {
    const scene = await makeScene(keys, bytes);
    for (const direction of ['make', 'read'] as const) {
      const row = await measureRow(scene, direction);
      rows.push(row);
      process.stderr.write(`${text(row)}\n`);
    }
    scene.close();
  }
}
stopBouncy();
const ok = rows.every(({ met }) => met !== false);
if (values.json) process.stdout.write(`${JSON.stringify({ name: 'engine', ok, rounds, rows })}\n`);
else process.stdout.write(`${rows.map(text).join('\n')}\n`);
process.exit();

async function measureRow(scene: Scene, direction: Direction): Promise<Row> {
  const skipped = contenders.map((contender) => contender.skip(scene, direction));
  const times: number[] = [];
  for (const [index, contender] of contenders.entries()) {
    const once = skipped[index] === undefined ? await contender.measure(scene, direction, 1) : SAMPLE_MS;
    const warm = skipped[index] === undefined ? await contender.measure(scene, direction, timesFor(once)) : SAMPLE_MS;
    times.push(timesFor(warm));
  }
  const samples: number[][] = contenders.map(() => []);
  for (let round = 0; round < rounds; round++) {
    // Everybody's turn comes first and last equally often: what ran before leaves its traces in caches and heap.
    for (let turn = 0; turn < contenders.length; turn++) {
      const index = (turn + round) % contenders.length;
      if (skipped[index] !== undefined) continue;
      const sample = await contenders[index]?.measure(scene, direction, times[index] ?? 1);
      samples[index]?.push(sample ?? Number.NaN);
    }
  }
  const floor = samples[contenders.indexOf(raw)] ?? [];
  const cells = contenders.map(({ name }, index): Cell => {
    const [reason, own = []] = [skipped[index], samples[index]];
    if (reason !== undefined) return { name, skipped: reason };
    const ratios = own.map((sample, round) => sample / (floor[round] ?? Number.NaN));
    return { name, cpuMs: round3(median(own)), toRaw: round3(median(ratios)) };
  });
  const target = scene.bytes >= TARGET_BYTES ? TARGETS[scene.kind] : undefined;
  const reached = cells.find(({ name }) => name === sealpost.name)?.toRaw;
  const verdict = target === undefined || reached === undefined ? {} : { target, met: reached <= target };
  return { keys: scene.kind, bytes: scene.bytes, direction, cells, ...verdict };
}

function timesFor(onceMs: number): number {
  return Math.max(1, Math.min(SAMPLE_TIMES, Math.round(SAMPLE_MS / Math.max(onceMs, 0.01))));
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((one, other) => one - other)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

function round3(value: number): number {
  return Math.round(value * 1000) / 1000;
}

function text({ keys, bytes, direction, cells, met }: Row): string {
  const list = cells.map(({ name, cpuMs, toRaw, skipped }) =>
    skipped === undefined ? `${name} ${cpuMs?.toFixed(3)} ms (${toRaw?.toFixed(2)}x)` : `${name} – (${skipped})`,
  );
  return `${keys.padEnd(8)} ${String(bytes).padStart(8)} ${direction}: ${list.join('  ')}${met === false ? '  above target' : ''}`;
}
