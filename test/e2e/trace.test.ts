// One trace per message: from the SMTP transaction at the ingress to the last reply of the next hop, through every process.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  connectSmtp,
  type OtlpReceiver,
  type ReceivedSpan,
  type SmtpSink,
  startOtlpReceiver,
  startSmtpSink,
} from '@sealpost/testkit';
import { type HostPort, startInstallation, type TestInstallation } from './installation.ts';
import { mail, makePartner } from './partner.ts';

/** Name with its children below, as nested lists, in order of start. Calls of the key service are looked at apart. */
type Tree = readonly [name: string, ...children: Tree[]];

const call = 'key-service.call';
const [producer, consumer] = [4, 5];

let collector: OtlpReceiver;
let outside: SmtpSink;
let inside: SmtpSink;
let gateway: TestInstallation;
let refusals = 1;

before(async () => {
  collector = await startOtlpReceiver();
  outside = await startSmtpSink({
    reply: ({ stage }) => (stage === 'rcpt' && refusals-- > 0 ? '451 4.7.1 Not yet' : undefined),
  });
  inside = await startSmtpSink();
  gateway = await startInstallation({
    external: outside.port,
    internal: inside.port,
    env: { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: collector.url },
  });
  await gateway.cli('identity', 'add', 'alice@alpha.test');
});

after(async () => {
  await gateway?.stop();
  await Promise.all([inside?.close(), outside?.close(), collector?.close()]);
});

/** The id that the message got. */
async function send(door: HostPort, from: string, to: string, message: Buffer): Promise<string> {
  await using client = await connectSmtp(door);
  await client.greet();
  const replies = await client.send({ from, to: [to], message });
  const id = /queued as (\S+)/.exec(replies.message?.text ?? '')?.[1];
  assert.ok(id, replies.mail.text);
  return id;
}

/** All spans of the message's one trace, once it was tried so many times to deliver it. */
async function traceOf(id: string, tries: number): Promise<readonly ReceivedSpan[]> {
  const rootOf = (all: readonly ReceivedSpan[]) =>
    all.filter(({ parentSpanId, attributes }) => parentSpanId === '' && attributes['sealpost.message.id'] === id);
  const inTrace = (all: readonly ReceivedSpan[]) => all.filter(({ traceId }) => traceId === rootOf(all)[0]?.traceId);
  const isWhole = (trace: readonly ReceivedSpan[]) =>
    trace.filter(({ name }) => name === 'egress.deliver').length === tries &&
    trace.every(({ parentSpanId }) => parentSpanId === '' || trace.some(({ spanId }) => spanId === parentSpanId));
  const spans = await collector.waitFor((all) => isWhole(inTrace(all)), 20_000);
  assert.equal(rootOf(spans).length, 1);
  return inTrace(spans);
}

function childrenOf({ spanId }: ReceivedSpan, trace: readonly ReceivedSpan[]): ReceivedSpan[] {
  return trace.filter(({ parentSpanId }) => parentSpanId === spanId).sort((a, b) => Number(a.startNs - b.startNs));
}

function treeOf(span: ReceivedSpan, trace: readonly ReceivedSpan[]): Tree {
  const children = childrenOf(span, trace).filter(({ name }) => name !== call);
  return [span.name, ...children.map((child) => treeOf(child, trace))];
}

function rootOf(trace: readonly ReceivedSpan[]): ReceivedSpan {
  const root = trace.find(({ parentSpanId }) => parentSpanId === '');
  assert.ok(root);
  return root;
}

const accepting = [['ingress.check'], ['ingress.seal'], ['ingress.ticket'], ['ingress.store']] as const;
const delivering: Tree = [
  'egress.deliver',
  ['egress.load'],
  ['egress.check'],
  ['egress.route', ['egress.connect'], ['egress.send']],
  ['egress.settle'],
  ['egress.report'],
];
const working = (step: 'worker.protect' | 'worker.open', ...deliveries: Tree[]): Tree => [
  'worker.process',
  ['worker.load'],
  ['worker.classify'],
  ['worker.decide'],
  ['worker.resolve'],
  [step],
  ['worker.seal'],
  ['worker.store'],
  ['worker.publish', ['queue.wait'], ...deliveries],
];

test('an outbound message: every step, both waits, the lease, and a second try that links to the first', async () => {
  const message = mail({ From: 'alice@alpha.test', To: 'carol@nowhere.test', Subject: 'Zebra' }, 'Hello\n');
  const id = await send(gateway.ready.outbound, 'alice@alpha.test', 'carol@nowhere.test', message);
  const trace = await traceOf(id, 2);
  assert.deepEqual(treeOf(rootOf(trace), trace), [
    'ingress.accept',
    ...accepting,
    ['ingress.publish', ['queue.wait'], working('worker.protect', delivering, delivering)],
  ]);
  assert.deepEqual([...new Set(trace.map(({ service }) => service))].sort(), [
    'sealpost-crypto-worker',
    'sealpost-egress',
    'sealpost-ingress',
    'sealpost-key-service',
  ]);

  const [first, second] = trace
    .filter(({ name }) => name === 'egress.deliver')
    .sort((a, b) => Number(a.startNs - b.startNs));
  assert.deepEqual(first?.links, []);
  assert.deepEqual(
    [first, second].map((one) => [one?.attributes['sealpost.outcome'], one?.attributes['sealpost.code']]),
    [
      ['later', 'next-hop-deferred'],
      ['done', undefined],
    ],
  );
  assert.deepEqual(second?.links, [{ traceId: first?.traceId, spanId: first?.spanId }]);

  const protect = trace.find(({ name }) => name === 'worker.protect');
  assert.ok(protect);
  const leases = childrenOf(protect, trace).map(({ attributes }) => attributes['sealpost.call']);
  assert.deepEqual(leases, ['lease']);
});

test('an inbound message', async () => {
  const partner = makePartner('trace');
  try {
    const bob = partner.person('bob@partner.test');
    const headers = `From: ${bob.address}\r\nTo: alice@alpha.test\r\nSubject: Zebra\r\n`;
    const signed = partner.protect('Content-Type: text/plain\r\n\r\nHello\r\n', { signer: bob, headers });
    const trace = await traceOf(await send(gateway.ready.inbound, bob.address, 'alice@alpha.test', signed), 1);
    assert.deepEqual(treeOf(rootOf(trace), trace), [
      'ingress.accept',
      ...accepting,
      ['ingress.publish', ['queue.wait'], working('worker.open', delivering)],
    ]);
  } finally {
    partner.close();
  }
});

test('each call to the key service has its answer there, in the same trace', async () => {
  const callsOf = (all: readonly ReceivedSpan[]) => all.filter(({ name, failed }) => name === call && !failed);
  const calls = callsOf(
    await collector.waitFor((all) => callsOf(all).every((one) => childrenOf(one, all).length === 1)),
  );
  assert.ok(calls.length > 10);
  for (const span of calls) {
    const answers = childrenOf(span, collector.spans);
    assert.deepEqual(
      answers.map(({ name, service, attributes }) => [name, service, attributes['sealpost.call']]),
      [['key-service.answer', 'sealpost-key-service', span.attributes['sealpost.call']]],
    );
  }
});

test('what goes through the queue is told as the semantic conventions for messaging have it', () => {
  const told = (name: string) =>
    collector.spans
      .filter((span) => span.name === name)
      .map(({ kind, attributes }) => [
        kind,
        attributes['messaging.system'],
        attributes['messaging.operation.name'],
        attributes['messaging.operation.type'],
        attributes['messaging.destination.name'],
        String(attributes['messaging.message.id']).replace(/^m[0-9a-f]{31}/, 'ID'),
      ]);
  const publish = ['bullmq', 'publish', 'send'];
  const process = ['bullmq', 'process', 'process'];
  for (const [name, expected] of [
    ['ingress.publish', [producer, ...publish, 'crypto', 'ID']],
    ['worker.process', [consumer, ...process, 'crypto', 'ID']],
    ['worker.publish', [producer, ...publish, 'delivery', 'ID-g0']],
    ['egress.deliver', [consumer, ...process, 'delivery', 'ID-g0']],
  ] as const) {
    const spans = told(name);
    assert.ok(spans.length >= 2, name);
    for (const span of spans) assert.deepEqual(span, expected, name);
  }
});

test('nothing that any process exported holds an address, a subject or content', () => {
  assert.ok(collector.bodies.length > 4);
  const all = collector.bodies.join('');
  for (const word of ['alice', 'carol', 'bob', 'nowhere', 'partner.test', 'Zebra', 'Hello'])
    assert.ok(!all.includes(word), word);
});
