// One trace per message: from the SMTP transaction at the ingress to the last reply of the next hop, through every process.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectSmtp, type ReceivedSpan, startOtlpReceiver, startSmtpSink } from '@sealpost/testkit';
import { startInstallation } from './installation.ts';
import { mail } from './partner.ts';

/** Name with its children below, as nested lists, in order of start. */
type Tree = readonly [name: string, ...children: Tree[]];

function treeOf(span: ReceivedSpan, spans: readonly ReceivedSpan[]): Tree {
  const children = spans
    .filter(({ parentSpanId }) => parentSpanId === span.spanId)
    .sort((a, b) => Number(a.startNs - b.startNs));
  return [span.name, ...children.map((child) => treeOf(child, spans))];
}

test('the span tree of one outbound message, a retry included', async () => {
  await using collector = await startOtlpReceiver();
  let refusals = 1;
  await using outside = await startSmtpSink({
    reply: ({ stage }) => (stage === 'rcpt' && refusals-- > 0 ? '451 4.7.1 Not yet' : undefined),
  });
  const gateway = await startInstallation({
    external: outside.port,
    env: { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: collector.url },
  });
  try {
    await gateway.cli('identity', 'add', 'alice@alpha.test');
    const client = await connectSmtp(gateway.ready.outbound);
    await client.greet();
    const message = mail({ From: 'alice@alpha.test', To: 'carol@nowhere.test', Subject: 'x' }, 'Hello\n');
    const replies = await client.send({ from: 'alice@alpha.test', to: ['carol@nowhere.test'], message });
    const id = /queued as (\S+)/.exec(replies.message?.text ?? '')?.[1];
    assert.ok(id);
    await outside.waitFor(1, 20_000);
    const spans = await collector.waitFor((all) => all.filter(({ name }) => name === 'egress.deliver').length === 2);

    const roots = spans.filter(
      ({ parentSpanId, attributes }) => parentSpanId === '' && attributes['sealpost.message.id'] === id,
    );
    const [root] = roots;
    assert.equal(roots.length, 1);
    assert.ok(root);
    const trace = spans.filter(({ traceId }) => traceId === root.traceId);
    const tree = treeOf(root, trace);
    assert.equal(tree[0], 'ingress.accept');
    const names = JSON.stringify(tree);
    const order = [
      'ingress.check',
      'ingress.seal',
      'ingress.store',
      'ingress.publish',
      'worker.process',
      'worker.load',
      'worker.classify',
      'worker.decide',
      'worker.protect',
      'worker.publish',
      'egress.deliver',
      'egress.load',
      'egress.route',
      'egress.send',
      'egress.settle',
    ];
    const places = order.map((name) => names.indexOf(`"${name}"`));
    assert.deepEqual(
      places.map((place, index) => [order[index], place >= 0]),
      order.map((name) => [name, true]),
    );
    assert.deepEqual(
      [...places].sort((a, b) => a - b),
      places,
      names,
    );

    assert.deepEqual([...new Set(trace.map(({ service }) => service))].sort(), [
      'sealpost-crypto-worker',
      'sealpost-egress',
      'sealpost-ingress',
      'sealpost-key-service',
    ]);
    const deliveries = trace
      .filter(({ name }) => name === 'egress.deliver')
      .sort((a, b) => Number(a.startNs - b.startNs));
    const [first, second] = deliveries;
    assert.ok(first && second);
    assert.ok(
      second.links.some(({ spanId }) => spanId === first.spanId),
      'the second try links to the first',
    );
    assert.equal(deliveries.length, 2);
    for (const { attributes } of trace) {
      assert.doesNotMatch(JSON.stringify(attributes), /carol|alice|Hello/);
    }
  } finally {
    await gateway.stop();
  }
});
