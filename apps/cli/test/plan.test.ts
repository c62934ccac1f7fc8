// The queueing model, held against known results and a simulation, and what `sealpost plan` makes of it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Demand, forecast, type Part, parts, plan } from '../src/plan/forecast.ts';
import { erlangC, gammaQuantile, normalQuantiles, type Queue, waiting } from '../src/plan/queueing.ts';

function near(actual: number, expected: number, share = 1e-9): void {
  assert.ok(Math.abs(actual - expected) <= Math.abs(expected) * share, `${actual} is not near ${expected}`);
}

test('Erlang C: known values', () => {
  near(erlangC(1, 0.6), 0.6);
  near(erlangC(2, 1), 1 / 3);
  // c = 2: ρ = a/2, C = 2ρ² / (1 + ρ); c = 3, a = 2: 4/9; c = 10, a = 8: the tables' 0.409.
  near(erlangC(2, 1.5), (2 * 0.75 ** 2) / 1.75);
  near(erlangC(3, 2), 4 / 9);
  near(erlangC(10, 8), 0.409, 0.001);
});

test('M/M/1 is exact: mean, and the quantiles of the wait', () => {
  const { mean, quantile, utilisation } = waiting({ rate: 8, service: 0.1, variability: 1, servers: 1 });
  near(utilisation, 0.8);
  near(mean, 0.8 / (10 - 8));
  // P(W > t) = ρ e^{-(μ-λ)t}
  near(0.8 * Math.exp(-2 * quantile(0.99)), 0.01);
  assert.equal(quantile(0.2), 0, 'one in five does not wait');
});

test('M/G/1: the mean is that of Pollaczek and Khinchine', () => {
  for (const variability of [0, 0.3, 1, 4]) {
    const { mean } = waiting({ rate: 5, service: 0.1, variability, servers: 1 });
    near(mean, (5 * 0.1 ** 2 * (1 + variability)) / (2 * (1 - 0.5)));
  }
});

test('M/M/c: one queue before many servers beats many queues; a full one never ends', () => {
  const four = waiting({ rate: 30, service: 0.1, variability: 1, servers: 4 });
  near(four.mean, erlangC(4, 3) / (4 * 10 - 30));
  assert.ok(four.mean < waiting({ rate: 7.5, service: 0.1, variability: 1, servers: 1 }).mean);
  assert.equal(waiting({ rate: 40, service: 0.1, variability: 1, servers: 4 }).quantile(0.5), Number.POSITIVE_INFINITY);
});

test('M/G/c: a simulation agrees', () => {
  for (const [servers, load, variability] of [
    [2, 0.7, 0],
    [2, 0.7, 1],
    [4, 0.8, 0.25],
    [8, 0.8, 0.5],
  ] as const) {
    const queue: Queue = { rate: (servers * load) / 0.01, service: 0.01, variability, servers };
    const waits = simulate(queue, 200_000);
    const expected = waiting(queue);
    near(waits.reduce((sum, wait) => sum + wait, 0) / waits.length, expected.mean, 0.12);
    near(waits.toSorted((a, b) => a - b)[Math.floor(waits.length * 0.99)] ?? 0, expected.quantile(0.99), 0.15);
  }
});

/** Exponentially distributed with a mean; the same each time. */
function randomTimes(): (mean: number) => number {
  let seed = 1;
  return (mean) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return -Math.log((seed + 0.5) / 2 ** 32) * mean;
  };
}

/** First come, first served. Service times: cs² of 1/k by the sum of k exponentials, 0 by a constant. */
function simulate({ rate, service, variability, servers }: Queue, messages: number): number[] {
  const exponential = randomTimes();
  const phases = variability === 0 ? 0 : Math.round(1 / variability);
  const takes = (): number =>
    phases === 0
      ? service
      : Array.from({ length: phases }, () => exponential(service / phases)).reduce((a, b) => a + b);
  const freeAt = new Array<number>(servers).fill(0);
  let now = 0;
  return Array.from({ length: messages }, () => {
    now += exponential(1 / rate);
    const first = freeAt.indexOf(Math.min(...freeAt));
    const start = Math.max(now, freeAt[first] ?? 0);
    freeAt[first] = start + takes();
    return start - now;
  });
}

test('the gamma quantile: tables of the chi-squared distribution', () => {
  // k degrees of freedom: mean k, variance 2k.
  for (const [degrees, p99] of [
    [2, 9.21],
    [4, 13.277],
    [10, 23.209],
    [40, 63.691],
  ] as const)
    near(gammaQuantile(degrees, 2 * degrees, normalQuantiles.p99), p99, 0.01);
  near(gammaQuantile(10, 20, normalQuantiles.p50), 9.342, 0.001);
  assert.equal(gammaQuantile(3, 0, normalQuantiles.p99), 3);
});

const demand: Demand = {
  rate: 300,
  service: { ingress: 0.003, redis: 0.0016, 'crypto-worker': 0.01, egress: 0.005 },
  variability: 1,
  p99: 2,
};

test('a plan has enough of everything, and one less of any is not enough', () => {
  for (const p99 of [2, 0.1, 0.075]) {
    const asked = { ...demand, p99 };
    const made = plan(asked);
    assert.equal(made.met, true);
    assert.ok(made.total.p99 <= p99);
    const counts = Object.fromEntries(made.parts.map(({ part, processes }) => [part, processes])) as never;
    for (const { part, processes } of made.parts.filter(({ part }) => part !== 'redis'))
      assert.equal(forecast(asked, { ...(counts as object), [part]: processes - 1 } as never).met, false, part);
  }
});

test('cores that are shared: a simulation agrees, and enough cores change nothing', () => {
  const counts = { ingress: 1, redis: 1, 'crypto-worker': 2, egress: 1 };
  const service = { ingress: 0.001, redis: 0.001, 'crypto-worker': 0.004, egress: 0.002 };
  for (const load of [0.25, 0.5, 0.75]) {
    const shared: Demand = { rate: (load * 2) / 0.008, service, variability: 1, p99: 1, cores: 2 };
    const times = simulateSharing(shared, counts, 40_000).toSorted((a, b) => a - b);
    const { total } = forecast(shared, counts);
    near(total.p50, times[Math.floor(times.length * 0.5)] ?? 0, 0.2);
    near(total.p99, times[Math.floor(times.length * 0.99)] ?? 0, 0.35);
  }
  const { cores: _, ...alone } = { ...demand, cores: 64 };
  near(
    forecast({ ...alone, cores: 64 }, { ...counts, 'crypto-worker': 4, egress: 2 }).total.p99,
    forecast(alone, { ...counts, 'crypto-worker': 4, egress: 2 }).total.p99,
    0.001,
  );
});

test('what a message takes while it is alone is added, and more than the cores can do never ends', () => {
  const counts = { ingress: 2, redis: 1, 'crypto-worker': 5, egress: 2 };
  near(forecast({ ...demand, idle: 0.01 }, counts).total.p50, forecast(demand, counts).total.p50 + 0.01);
  assert.equal(forecast({ ...demand, cores: 4 }, counts).total.p50, Number.POSITIVE_INFINITY);
});

/** Processes of one thread each, first come, first served, on cores that they share in equal parts. Seconds of each message. */
function simulateSharing(
  { rate, service, cores = 1 }: Demand,
  counts: Record<Part, number>,
  messages: number,
): number[] {
  const exponential = randomTimes();
  const processes = parts.flatMap((part, stage) =>
    Array.from({ length: counts[part] }, () => ({ part, stage, left: 0, message: -1 })),
  );
  const waitingAt = parts.map((): number[] => []);
  const bornAt: number[] = [];
  const took: number[] = [];
  let now = 0;
  let next = exponential(1 / rate);
  while (took.length < messages) {
    for (const process of processes) {
      if (process.message >= 0) continue;
      const message = waitingAt[process.stage]?.shift();
      if (message !== undefined) Object.assign(process, { message, left: exponential(service[process.part]) });
    }
    const busy = processes.filter(({ message }) => message >= 0);
    const speed = Math.min(1, cores / busy.length);
    const [first] = busy.toSorted((a, b) => a.left - b.left);
    const doneAt = first ? now + first.left / speed : Number.POSITIVE_INFINITY;
    const until = Math.min(doneAt, next);
    for (const process of busy) process.left -= (until - now) * speed;
    now = until;
    if (first && until === doneAt) {
      const { message, stage } = first;
      first.message = -1;
      if (stage + 1 < parts.length) waitingAt[stage + 1]?.push(message);
      else took.push(now - (bornAt[message] ?? 0));
    } else {
      waitingAt[0]?.push(bornAt.push(now) - 1);
      next = now + exponential(1 / rate);
    }
  }
  return took;
}

test('what cannot be met is said: the work itself takes longer, or one Redis does not carry it', () => {
  const hasty = plan({ ...demand, p99: 0.01 });
  assert.deepEqual([hasty.met, hasty.limit], [false, undefined]);
  const vast = plan({ ...demand, rate: 2_000 });
  assert.deepEqual([vast.met, vast.limit], [false, 'redis']);
});
