// A load on a gateway that this command starts for it, on this machine: an open loop, so a slow moment counts for every message that
// was due in it. Prints latencies until the 250 and until delivery.
// Usage: npm run load -- [--rate 50/s] [--size-distribution 77KB | 4KB=0.7,77KB=0.25,500KB=0.05] [--duration 30s]
//        [--connections 20] [--direction outbound|inbound] [--workers 2] [--arrivals poisson|even] [--json]
// Exit code 1 when a message was refused, lost or delivered twice.

import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { toRate, toSeconds } from '../../apps/cli/src/plan/quantities.ts';
import { startGatewayUnderLoad } from './gateway-under-load.ts';
import type { Latency } from './latency.ts';
import { type LoadResult, runLoad } from './run-load.ts';
import { parseSizes } from './schedule.ts';

/** A load ends by itself. */
const longestSeconds = 3_600;
const mostMessages = 1_000_000;
const mostConnections = 900;
const warmUpSeconds = 5;

const text = { type: 'string' } as const;
const { values } = parseArgs({
  options: {
    rate: { ...text, default: '50/s' },
    'size-distribution': { ...text, default: '77KB' },
    duration: { ...text, default: '30s' },
    connections: { ...text, default: '20' },
    direction: { ...text, default: 'outbound' },
    workers: { ...text, default: String(availableParallelism()) },
    arrivals: { ...text, default: 'poisson' },
    json: { type: 'boolean', default: false },
  },
});

const rate = read('--rate', () => toRate(values.rate));
const seconds = read('--duration', () => toSeconds(values.duration));
const sizes = parseSizes(values['size-distribution']);
const { direction, arrivals } = values;
const [connections, workers] = [Number(values.connections), Number(values.workers)];
if (!sizes) usage('--size-distribution is 77KB, or sizes with shares that add up to 1: 4KB=0.7,77KB=0.3');
if (direction !== 'outbound' && direction !== 'inbound') usage('--direction is outbound or inbound');
if (arrivals !== 'poisson' && arrivals !== 'even') usage('--arrivals is poisson or even');
if (seconds > longestSeconds || rate * seconds > mostMessages)
  usage(`a load has at most ${longestSeconds} s and ${mostMessages} messages`);
if (!(Number.isInteger(connections) && connections >= 1 && connections <= mostConnections))
  usage(`--connections is a number from 1 to ${mostConnections}`);
if (!(Number.isInteger(workers) && workers >= 1 && workers <= 64)) usage('--workers is a number from 1 to 64');

const load = { rate, seconds, sizes, arrivals } as const;

const isTerminal = process.stderr.isTTY;
say(`starting a gateway with ${workers} crypto workers`);
await using gateway = await startGatewayUnderLoad(workers);
say(`warming up, ${warmUpSeconds} s`);
await runLoad(gateway, { ...load, rate: Math.min(rate, 50), seconds: warmUpSeconds }, { direction, connections });
say(`${rate} messages/s for ${seconds} s over ${connections} connections`);
let shown = 0;
const result = await runLoad(gateway, load, {
  direction,
  connections,
  progress(done, of) {
    if (done < of && performance.now() - shown < 200) return;
    shown = performance.now();
    if (isTerminal) process.stderr.write(`\r${bar(done / of)} ${done} of ${of}${done === of ? '\n' : ''}`);
  },
});
if (values.json) process.stdout.write(`${JSON.stringify({ sizes, arrivals, connections, workers, ...result })}\n`);
else print(result);
if (result.refused + result.unanswered + result.missing + result.duplicates > 0) process.exitCode = 1;

function read(name: string, parse: () => number): number {
  try {
    return parse();
  } catch (error) {
    return usage(`${name}: ${error instanceof Error ? error.message : 'not understood'}`);
  }
}

function usage(problem: string): never {
  say(problem);
  process.exit(2);
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function bar(share: number): string {
  const width = 40;
  const full = Math.round(share * width);
  return `[${'#'.repeat(full)}${'.'.repeat(width - full)}]`;
}

function print(done: LoadResult): void {
  const row = (...cells: readonly string[]): string =>
    cells.map((cell, at) => (at === 0 ? cell.padEnd(12) : cell.padStart(10))).join('');
  const ms = (value: number): string => `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms`;
  const latencies = (name: string, { mean, p50, p90, p99, p999, max }: Latency): string =>
    row(name, ...[mean, p50, p90, p99, p999, max].map(ms));
  const cpu = Object.entries(done.cpuMsPerMessage).map(([kind, value]) => `${kind} ${value.toFixed(2)}`);
  process.stdout.write(
    `${[
      row('latency', 'mean', 'p50', 'p90', 'p99', 'p99.9', 'max'),
      latencies('accepted', done.accepted),
      latencies('delivered', done.delivered),
      '',
      `${done.sent} sent, ${done.refused} refused, ${done.unanswered} unanswered, ${done.missing} not delivered, ${done.duplicates} delivered twice, ${done.late} due while all connections were busy`,
      `processor time of a message in ms: ${cpu.join(', ')}`,
    ].join('\n')}\n`,
  );
}
