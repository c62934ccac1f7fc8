// The queueing model, held against known results and a simulation, and what `sealpost plan` makes of it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Demand, forecast, plan } from '../src/plan/forecast.ts';
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

/** First come, first served. Service times: cs² of 1/k by the sum of k exponentials, 0 by a constant. Seeded, so always the same. */
function simulate({ rate, service, variability, servers }: Queue, messages: number): number[] {
  let seed = 1;
  const random = (): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return (seed + 0.5) / 2 ** 32;
  };
  const exponential = (mean: number): number => -Math.log(random()) * mean;
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

test('what cannot be met is said: the work itself takes longer, or one Redis does not carry it', () => {
  const hasty = plan({ ...demand, p99: 0.01 });
  assert.deepEqual([hasty.met, hasty.limit], [false, undefined]);
  const vast = plan({ ...demand, rate: 2_000 });
  assert.deepEqual([vast.met, vast.limit], [false, 'redis']);
});
