// How long messages take at a quarter, half and three quarters of what the gateway can do, and how near `sealpost plan` comes: for each
// size, direction and number of crypto workers the capacity is found first with more load than it takes, then an open loop runs at each
// share. The model gets the processor times of that run, the cores that everything shares, the processor time of the generator, and how
// long a message takes beyond processor time when it is alone.
// Usage: npm run bench -- latency [--json] [--bytes N]… [--direction outbound|inbound]… [--workers N]… [--shares N]… [--seconds N]

import { availableParallelism, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { type Forecast, forecast, type ServiceTimes } from '../../apps/cli/src/plan/forecast.ts';
import { type Direction, type GatewayUnderLoad, startGatewayUnderLoad } from '../load/gateway-under-load.ts';
import { type LoadResult, runLoad } from '../load/run-load.ts';

const connections = 40;
/** Compiled code and connections, before anything is measured. */
const warmUpMessages = 600;
/** More than any size can do here for so long, and less than what fills the queue. */
const capacitySeconds = 8;
/** Messages are alone at so few a second. */
const idleRate = 4;
const idleSeconds = 8;
const floodRate = 400;

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    bytes: { type: 'string', multiple: true, default: ['4000', '77000', '500000'] },
    direction: { type: 'string', multiple: true, default: ['outbound', 'inbound'] },
    workers: { type: 'string', multiple: true, default: ['1', '2'] },
    shares: { type: 'string', multiple: true, default: ['0.25', '0.5', '0.75'] },
    seconds: { type: 'string', default: '20' },
  },
});

interface Row {
  readonly direction: Direction;
  readonly bytes: number;
  readonly workers: number;
  /** Messages a second at which it was busy without pause. */
  readonly capacity: number;
  readonly share: number;
  readonly result: LoadResult;
  /** Milliseconds until delivery. */
  readonly predicted: { readonly p50: number; readonly p99: number };
}

const rows: Row[] = [];
for (const workers of values.workers.map(Number)) {
  await using gateway = await startGatewayUnderLoad(workers);
  for (const direction of values.direction as Direction[])
    for (const bytes of values.bytes.map(Number)) rows.push(...(await measure(gateway, direction, bytes, workers)));
}
if (values.json) {
  process.stdout.write(`${JSON.stringify({ name: 'latency', cores: availableParallelism(), rows })}\n`);
} else print();

async function measure(
  gateway: GatewayUnderLoad,
  direction: Direction,
  bytes: number,
  workers: number,
): Promise<Row[]> {
  const sizes = [{ bytes, share: 1 }];
  const run = (rate: number, seconds: number, arrivals: 'poisson' | 'even') =>
    runLoad(gateway, { rate, seconds, sizes, arrivals }, { direction, connections });
  await run(60, warmUpMessages / 60, 'even');
  const flood = await run(floodRate * Math.min(1, 100_000 / bytes), capacitySeconds, 'even');
  // From the first message due to the last one out: what waited longest was due last.
  const capacity = flood.delivered.count / (flood.seconds + flood.delivered.max / 1000);
  const alone = await run(idleRate, idleSeconds, 'even');
  const idle = Math.max(0, alone.delivered.p50 - sum(Object.values(alone.cpuMsPerMessage))) / 1000;
  const measured: Row[] = [];
  for (const share of values.shares.map(Number)) {
    const before = process.cpuUsage();
    const result = await run(capacity * share, Number(values.seconds), 'poisson');
    const own = process.cpuUsage(before);
    const beside = (own.user + own.system) / 1e6 / result.sent;
    const { p50, p99 } = predict(result, { workers, beside, idle }).total;
    measured.push({
      direction,
      bytes,
      workers,
      capacity,
      share,
      result,
      predicted: { p50: p50 * 1000, p99: p99 * 1000 },
    });
    say(text(measured.at(-1)));
  }
  return measured;
}

interface Surroundings {
  readonly workers: number;
  readonly beside: number;
  readonly idle: number;
}

function predict({ rate, cpuMsPerMessage: cpu }: LoadResult, { workers, beside, idle }: Surroundings): Forecast {
  const seconds = (kind: string): number => (cpu[kind] ?? 0) / 1000;
  const service: ServiceTimes = {
    ingress: seconds('ingress'),
    redis: seconds('redis'),
    'crypto-worker': seconds('worker'),
    egress: seconds('egress'),
  };
  // One size only: messages are alike.
  return forecast(
    { rate, service, variability: 0, p99: 1, cores: availableParallelism(), beside, idle },
    { ingress: 1, redis: 1, 'crypto-worker': workers, egress: 1 },
  );
}

function text(row: Row | undefined): string {
  if (!row) return '';
  const { direction, bytes, workers, capacity, share, result, predicted } = row;
  const { delivered, accepted, rate } = result;
  const percent = (is: number, should: number): string =>
    `${is > should ? '+' : ''}${(100 * (is / should - 1)).toFixed(0)} %`;
  return [
    direction.padEnd(8),
    String(bytes).padStart(7),
    String(workers).padStart(7),
    capacity.toFixed(0).padStart(8),
    `${Math.round(share * 100)} %`.padStart(6),
    rate.toFixed(0).padStart(6),
    ...[accepted.p50, accepted.p99, delivered.p50, delivered.p99, predicted.p50, predicted.p99].map((ms) =>
      ms.toFixed(ms < 10 ? 1 : 0).padStart(9),
    ),
    percent(predicted.p50, delivered.p50).padStart(8),
    percent(predicted.p99, delivered.p99).padStart(8),
    `${result.missing + result.duplicates + result.refused + result.unanswered}`.padStart(5),
  ].join(' ');
}

function print(): void {
  const headings =
    'direction  bytes workers capacity   load    /s   250 p50   250 p99   out p50   out p99 model p50 model p99  err p50  err p99   bad';
  process.stdout.write(`${[headings, ...rows.map(text)].join('\n')}\n`);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function say(line: string): void {
  process.stderr.write(`${line}   (load average ${loadavg()[0]?.toFixed(1)})\n`);
}
