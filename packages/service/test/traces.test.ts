// Traces, received by a collector over real HTTP: one trace per message across processes and retries, and nothing of the mail.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CryptoJob, fail, readCryptoJob } from '@sealpost/core';
import { type OtlpReceiver, type ReceivedSpan, startFlakyProxy, startOtlpReceiver } from '@sealpost/testkit';
import { jobSpan, type RunningTelemetry, type SpanAttributes, startTelemetry, steps } from '../src/index.ts';

const config = (receiver: OtlpReceiver, sampleRatio = 1) => ({ otlpUrl: receiver.url, sampleRatio });

function named(spans: readonly ReceivedSpan[], name: string): ReceivedSpan {
  const found = spans.find((span) => span.name === name);
  assert.ok(found, `no span ${name}`);
  return found;
}

/** What a stage does with the context: into the job, through JSON as Redis holds it, out again. */
function jobWith({ current }: RunningTelemetry): CryptoJob {
  const trace = current();
  const job = { v: 1, tenant: 'alpha', id: `m${'0'.repeat(31)}`, ticket: 'AA', ...(trace ? { trace } : {}) };
  return readCryptoJob(JSON.parse(JSON.stringify(job)));
}

test('a trace goes on in the process that takes the job, and a retry is linked', async () => {
  await using receiver = await startOtlpReceiver();
  const ingress = startTelemetry(config(receiver), { role: 'ingress', instance: 'i' });
  const worker = startTelemetry(config(receiver), { role: 'crypto-worker', instance: 'w' });

  const job = await ingress.span(
    'ingress.accept',
    { tenant: 'alpha', direction: 'outbound' },
    () => ingress.span('ingress.publish', {}, async () => jobWith(ingress), { kind: 'producer' }),
    { kind: 'server', parent: 'none' },
  );
  const first = await worker.span('worker.process', { attempt: 1 }, async () => worker.current(), {
    parent: job.trace,
    kind: 'consumer',
  });
  await worker.span('worker.process', { attempt: 2 }, async () => undefined, {
    parent: job.trace,
    links: first ? [first] : [],
  });
  assert.equal(worker.current(), undefined);
  await Promise.all([ingress.close(), worker.close()]);

  const spans = await receiver.waitFor((all) => all.length === 4);
  const accept = named(spans, 'ingress.accept');
  const publish = named(spans, 'ingress.publish');
  const tries = spans.filter(({ name }) => name === 'worker.process');
  assert.equal(new Set(spans.map(({ traceId }) => traceId)).size, 1);
  assert.equal(accept.parentSpanId, '');
  assert.equal(publish.parentSpanId, accept.spanId);
  assert.deepEqual(
    tries.map(({ parentSpanId }) => parentSpanId),
    [publish.spanId, publish.spanId],
  );
  assert.deepEqual(tries[1]?.links, [{ traceId: accept.traceId, spanId: tries[0]?.spanId }]);
  assert.deepEqual([accept.service, tries[0]?.service], ['sealpost-ingress', 'sealpost-crypto-worker']);
  assert.deepEqual([accept.kind, publish.kind, tries[0]?.kind, tries[1]?.kind], [2, 4, 5, 1]);
  assert.deepEqual(accept.attributes, { 'sealpost.tenant': 'alpha', 'sealpost.direction': 'outbound' });
});

test('each step of a pipeline is a span, and an error shows its code and never its words', async () => {
  await using receiver = await startOtlpReceiver();
  const telemetry = startTelemetry(config(receiver), { role: 'egress', instance: 'e' });
  const seen: string[] = [];
  const pipeline = steps<{ n: number }>(telemetry, [
    { name: 'egress.load', run: ({ n }) => ({ n: n + 1 }) },
    { name: 'egress.route', run: async ({ n }) => ({ n: n * 10 }) },
    {
      name: 'egress.connect',
      run: ({ n }) => {
        seen.push(`n is ${n}`);
        throw fail('next-hop-refused', new Error('550 <alice@alpha.test> says no'));
      },
    },
    { name: 'egress.send', run: () => assert.fail('must not run') },
  ]);
  await assert.rejects(
    telemetry.span('egress.deliver', {}, () => pipeline({ n: 1 })),
    { code: 'next-hop-refused' },
  );
  await telemetry.close();

  assert.deepEqual(seen, ['n is 20']);
  const spans = await receiver.waitFor((all) => all.length === 4);
  const deliver = named(spans, 'egress.deliver');
  for (const name of ['egress.load', 'egress.route', 'egress.connect']) {
    assert.equal(named(spans, name).parentSpanId, deliver.spanId);
  }
  const connect = named(spans, 'egress.connect');
  assert.equal(connect.failed, true);
  assert.deepEqual(connect.attributes, {
    'sealpost.code': 'next-hop-refused',
    'error.type': 'next-hop-refused',
  });
  assert.equal(named(spans, 'egress.load').failed, false);
  assert.doesNotMatch(receiver.bodies.join(''), /alice|says no/);
});

test('the wait of a job is a span that ends where its first try begins; later tries have none', async () => {
  await using receiver = await startOtlpReceiver();
  const telemetry = startTelemetry(config(receiver), { role: 'egress', instance: 'e' });
  const job = await telemetry.span('worker.publish', {}, async () => jobWith(telemetry), { parent: 'none' });
  for (const claim of [{ waitedMs: 1_500 }, {}])
    await jobSpan(telemetry, 'egress.deliver', { stage: 'delivery', job, claim }, {}, async () => undefined);
  await telemetry.close();
  const spans = await receiver.waitFor((all) => all.length === 4);
  const wait = named(spans, 'queue.wait');
  const tries = spans.filter(({ name }) => name === 'egress.deliver');
  assert.deepEqual(
    [wait, ...tries].map(({ parentSpanId }) => parentSpanId),
    Array(3).fill(named(spans, 'worker.publish').spanId),
  );
  const tookMs = Number(wait.endNs - wait.startNs) / 1e6;
  assert.ok(tookMs >= 1_499 && tookMs < 3_000, String(tookMs));
  assert.ok(tries.every(({ startNs }) => startNs >= wait.endNs - 1_000_000n));
});

test('a pipeline stops where it is done', async () => {
  const telemetry = startTelemetry({ sampleRatio: 1 }, { role: 'egress', instance: 'e' });
  const pipeline = steps<number>(
    telemetry,
    [
      { name: 'egress.load', run: (n) => n + 1 },
      { name: 'egress.route', run: (n) => n + 10 },
    ],
    (n) => n >= 1,
  );
  assert.equal(await pipeline(0), 1);
  await telemetry.close();
});

test('an attribute that is not of the list stays out', async () => {
  await using receiver = await startOtlpReceiver();
  const telemetry = startTelemetry(config(receiver), { role: 'egress', instance: 'e' });
  const attributes = { tenant: 'alpha', subject: 'secret subject', delivery: undefined } as SpanAttributes;
  await telemetry.span('egress.deliver', attributes, async (set) => set({ bytes: 7 }));
  await telemetry.close();
  const [span] = await receiver.waitFor((all) => all.length === 1);
  assert.deepEqual(span?.attributes, { 'sealpost.tenant': 'alpha', 'sealpost.bytes': 7 });
});

test('a forged or damaged context in a job begins a new trace instead of failing', async () => {
  await using receiver = await startOtlpReceiver();
  const telemetry = startTelemetry(config(receiver), { role: 'egress', instance: 'e' });
  for (const traceparent of ['', 'x', '00-0-0-01', `00-${'0'.repeat(32)}-${'0'.repeat(16)}-01`, '\r\nX: y']) {
    await telemetry.span('egress.deliver', {}, async () => undefined, {
      parent: { traceparent },
      links: [{ traceparent }],
    });
  }
  await telemetry.close();
  const spans = await receiver.waitFor((all) => all.length === 5);
  assert.equal(new Set(spans.map(({ traceId }) => traceId)).size, 5);
  assert.ok(spans.every(({ parentSpanId, links }) => parentSpanId === '' && links.length === 0));
});

test('what is not sampled is sent by no process, and has ids for the log all the same', async () => {
  await using receiver = await startOtlpReceiver();
  const ingress = startTelemetry(config(receiver, 0), { role: 'ingress', instance: 'i' });
  const worker = startTelemetry(config(receiver, 1), { role: 'crypto-worker', instance: 'w' });
  const job = await ingress.span('ingress.accept', {}, async () => jobWith(ingress));
  assert.match(job.trace?.traceparent ?? '', /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  await worker.span('worker.process', {}, async () => undefined, { parent: job.trace });
  await Promise.all([ingress.close(), worker.close()]);
  assert.equal(receiver.spans.length, 0);
});

test('a collector that is away or silent costs neither the work nor the end', async () => {
  await using receiver = await startOtlpReceiver();
  await using proxy = await startFlakyProxy({ host: '127.0.0.1', port: Number(new URL(receiver.url).port) });
  for (const mode of ['refuse', 'stall'] as const) {
    proxy.setMode(mode);
    const otlpUrl = `http://${proxy.host}:${proxy.port}/v1/traces`;
    const telemetry = startTelemetry({ otlpUrl, sampleRatio: 1 }, { role: 'egress', instance: 'e' });
    assert.equal(await telemetry.span('egress.deliver', {}, async () => 'done'), 'done');
    const started = performance.now();
    await telemetry.close();
    assert.ok(performance.now() - started < 950, mode);
  }
});
