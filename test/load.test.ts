// The load generator: what it sends is decided beforehand, and what a slow server does to messages behind counts as their latency.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startSmtpSink } from '@sealpost/testkit';
import fc from 'fast-check';
import { recordLatency } from './load/latency.ts';
import { parseSizes, schedule } from './load/schedule.ts';
import { send } from './load/send.ts';

/** Numbers from 0 to 1 that are the same in every run. */
function seeded(seed: string): () => number {
  let count = 0;
  return () => createHash('sha256').update(`${seed} ${count++}`).digest().readUInt32BE() / 2 ** 32;
}

test('arrivals come at the rate; gaps of a Poisson process vary as much as their mean, even ones do not', () => {
  const load = { rate: 100, seconds: 100, sizes: [{ bytes: 1000, share: 1 }] };
  const spread = (arrivals: 'poisson' | 'even') => {
    const due = schedule({ ...load, arrivals }, seeded('arrivals'));
    const gaps = due.map(({ at }, index) => at - (due[index - 1]?.at ?? 0));
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
    const variance = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length;
    return { count: due.length, variation: variance / mean ** 2 };
  };
  const poisson = spread('poisson');
  assert.ok(Math.abs(poisson.count - 10_000) < 300, String(poisson.count));
  assert.ok(Math.abs(poisson.variation - 1) < 0.1, String(poisson.variation));
  const even = spread('even');
  assert.ok(Math.abs(even.count - 10_000) <= 1, String(even.count));
  assert.ok(even.variation < 1e-9);
});

test('sizes come in their shares', () => {
  const sizes = parseSizes('4KB=0.7,77KB=0.25,0.5MB=0.05');
  assert.deepEqual(sizes, [
    { bytes: 4000, share: 0.7 },
    { bytes: 77_000, share: 0.25 },
    { bytes: 500_000, share: 0.05 },
  ]);
  const due = schedule({ rate: 1000, seconds: 20, sizes: sizes ?? [], arrivals: 'even' }, seeded('sizes'));
  const large = due.filter(({ bytes }) => bytes === 500_000).length / due.length;
  assert.ok(Math.abs(large - 0.05) < 0.01, String(large));
});

test('a size distribution that is none is refused', () => {
  for (const text of ['', '77', 'KB', '-1KB', '4KB=0.5', '4KB=0.7,77KB=0.7', '4KB=0,77KB=1', '4KB;77KB', '1e9KB'])
    assert.equal(parseSizes(text), undefined, text);
  fc.assert(fc.property(fc.string(), (text) => (parseSizes(text) ?? []).every(({ bytes }) => bytes > 0)));
});

test('a histogram of latencies tells percentiles to three digits, and nothing for no messages', () => {
  const recorder = recordLatency();
  assert.deepEqual(recorder.read(), { count: 0, mean: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 });
  for (let ms = 1; ms <= 1000; ms++) recorder.record(ms);
  const { count, p50, p99, max } = recorder.read();
  assert.equal(count, 1000);
  for (const [is, should] of [
    [p50, 500],
    [p99, 990],
    [max, 1000],
  ] as const)
    assert.ok(Math.abs(is / should - 1) < 0.002, `${is} for ${should}`);
});

test('one stop of the server is in the latency of every message that was due meanwhile', async () => {
  let held = false;
  await using sink = await startSmtpSink({
    keep: false,
    async reply({ stage }) {
      if (stage === 'message' && !held) {
        held = true;
        await sleep(400);
      }
      return undefined;
    },
  });
  const due = Array.from({ length: 20 }, (_, index) => ({ at: index * 10, bytes: 1 }));
  const mail = { from: 'a@alpha.test', to: 'b@beta.test', data: Buffer.from('\r\nx\r\n.\r\n') };
  const sent = await send({ to: sink, connections: 1, due, start: performance.now(), mail: () => mail });
  // A closed loop would show one slow message of 20; the last one was due after 190 ms and had to wait till 400.
  const { count, p50 } = sent.accepted.read();
  assert.equal(count, 20);
  assert.ok(p50 > 200, `${p50} ms`);
  assert.ok(sent.late >= 19, String(sent.late));
});

test('what is refused and what loses its connection is counted, and the load goes on', async () => {
  await using sink = await startSmtpSink({
    reply({ stage, address }) {
      if (stage === 'mail' && address === 'bad@alpha.test') return '550 5.7.1 no';
      return stage === 'rcpt' && address === 'cut@beta.test' ? 'drop' : undefined;
    },
  });
  const due = Array.from({ length: 9 }, (_, index) => ({ at: index, bytes: 1 }));
  const sent = await send({
    to: sink,
    connections: 2,
    due,
    start: performance.now(),
    mail: (index) => ({
      from: index % 3 === 0 ? 'bad@alpha.test' : 'a@alpha.test',
      to: index % 3 === 1 ? 'cut@beta.test' : 'b@beta.test',
      data: Buffer.from('\r\nx\r\n.\r\n'),
    }),
  });
  assert.deepEqual([sent.refused, sent.unanswered, sent.accepted.count], [3, 3, 3]);
  assert.equal(sink.transactions.length, 3);
});
