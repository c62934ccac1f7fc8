// Envelope, plan, job, ids and frames read back what they wrote and refuse everything else with a code of the table.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  codeOf,
  decodeEnvelope,
  decodePlan,
  deliveryId,
  type Envelope,
  encodeEnvelope,
  errors,
  formatKeyId,
  messageOf,
  newMessageId,
  outcomeOf,
  parseKeyId,
  readCryptoJob,
  readDeliveryJob,
  readFrame,
  retryDelayMs,
  SealpostError,
  tenantId,
  writeFrame,
} from '../src/index.ts';

const codeThrownBy = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof SealpostError, 'only errors of the table leave');
    return codeOf(error);
  }
  return 'nothing was thrown';
};

test('envelopes: encode and decode are inverse, for any text', () => {
  const envelopes: fc.Arbitrary<Envelope> = fc.record(
    {
      mailFrom: fc.string({ unit: 'grapheme' }),
      headerFrom: fc.string(),
      recipients: fc.array(
        fc.record(
          { address: fc.string({ unit: 'grapheme' }), orcpt: fc.string() },
          { requiredKeys: ['address'], noNullPrototype: true },
        ),
      ),
      ret: fc.constantFrom('FULL' as const, 'HDRS' as const),
      envid: fc.string(),
      eightBit: fc.boolean(),
      smtpUtf8: fc.boolean(),
      salt: fc.string(),
    },
    { requiredKeys: ['mailFrom', 'headerFrom', 'recipients', 'eightBit', 'smtpUtf8', 'salt'], noNullPrototype: true },
  );
  fc.assert(fc.property(envelopes, (envelope) => assert.deepEqual(decodeEnvelope(encodeEnvelope(envelope)), envelope)));
});

test('envelopes: anything not written by us is refused', () => {
  const good =
    '{"mailFrom":"a@b","headerFrom":"","recipients":[{"address":"c@d"}],"eightBit":false,"smtpUtf8":false,"salt":"x"}';
  assert.equal(decodeEnvelope(Buffer.from(good)).mailFrom, 'a@b');
  const bad = [
    '',
    '{}',
    'null',
    '[]',
    `${good} `,
    good.replace('false', '0'),
    good.replace('"c@d"', 'null'),
    good.replace('{"mailFrom"', '{"extra":1,"mailFrom"'),
    good.replace('"a@b"', '{"toString":1}'),
  ];
  for (const text of bad)
    assert.equal(
      codeThrownBy(() => decodeEnvelope(Buffer.from(text))),
      'envelope-mismatch',
      text,
    );
  fc.assert(
    fc.property(fc.json(), (text) => codeThrownBy(() => decodeEnvelope(Buffer.from(text))) === 'envelope-mismatch'),
  );
});

test('plans: a recipient left out, named twice or out of range makes the plan invalid', () => {
  const plan = (groups: unknown): Buffer => Buffer.from(JSON.stringify({ v: 1, direction: 'inbound', groups }));
  const pass = (id: string, recipients: unknown) => ({ id, recipients, action: { do: 'pass' } });
  assert.equal(decodePlan(plan([pass('g0', [1]), pass('g1', [0])]), 2).groups.length, 2);
  const bad = [
    [],
    [pass('g0', [0])],
    [pass('g0', [0, 0])],
    [pass('g0', [0, 2])],
    [pass('g0', [0]), pass('g0', [1])],
    [pass('../x', [0, 1])],
    [pass('g0', ['0', 1])],
    [{ id: 'g0', recipients: [0, 1], action: { do: 'bounce', code: 'toString' } }],
    [{ id: 'g0', recipients: [0, 1], action: {} }],
    7,
  ];
  for (const groups of bad)
    assert.equal(
      codeThrownBy(() => decodePlan(plan(groups), 2)),
      'plan-invalid',
      JSON.stringify(groups),
    );
  assert.equal(
    codeThrownBy(() => decodePlan(Buffer.from('{"v":2}'), 1)),
    'version-unsupported',
  );
});

test('jobs: what Redis returns is checked, whatever it is', () => {
  const id = newMessageId(new Date());
  const job = { v: 1, id, tenant: 'alpha', ticket: 'AA', trace: { traceparent: '00-1-2-01' } };
  assert.deepEqual(readCryptoJob(job), job);
  const delivery = { ...job, id: deliveryId(id, 'g0'), settled: [{ at: 0, outcome: 'delivered' }], attempts: 2 };
  assert.deepEqual(readDeliveryJob(delivery), delivery);
  const tried = { ...delivery, tried: { traceparent: '00-1-3-01' } };
  assert.deepEqual(readDeliveryJob(tried), tried);
  assert.deepEqual(readDeliveryJob({ ...delivery, tried: 'x' }), delivery);
  assert.deepEqual(readDeliveryJob({ ...delivery, tried: { traceparent: '00-1-3-01', tracestate: 5 } }), delivery);
  assert.equal(messageOf(deliveryId(id, 'g0')), id);
  const bad: unknown[] = [
    undefined,
    null,
    [],
    'x',
    {},
    { ...job, v: 2 },
    { ...job, id: '1' },
    { ...job, tenant: '../a' },
    { ...job, ticket: 1 },
  ];
  for (const value of bad)
    assert.equal(
      codeThrownBy(() => readCryptoJob(value)),
      'job-malformed',
    );
  for (const value of [job, { ...delivery, settled: [{ at: 'x' }] }, { ...delivery, attempts: '1' }]) {
    assert.equal(
      codeThrownBy(() => readDeliveryJob(value)),
      'job-malformed',
    );
  }
  fc.assert(fc.property(fc.anything(), (value) => codeThrownBy(() => readCryptoJob(value)) === 'job-malformed'));
});

test('key ids: one text for one key, slashes in identities included', () => {
  const name = { tenant: tenantId('alpha'), identity: 'a/b%c@alpha.test', use: 'signing', version: 12 } as const;
  assert.deepEqual(parseKeyId(formatKeyId(name)), name);
  for (const text of [
    '',
    'alpha',
    'alpha/a/signing/0',
    'alpha/a/signing/1/2',
    'alpha/a/other/1',
    'Alpha/a/signing/1',
    'alpha/%61/signing/1',
    'alpha/%/signing/1',
  ]) {
    assert.equal(
      codeThrownBy(() => parseKeyId(text)),
      'id-invalid',
      text,
    );
  }
});

test('frames: missing bytes are never read past', () => {
  const frame = writeFrame(1, 2, ['a', Buffer.alloc(300), '']);
  assert.deepEqual(
    readFrame(frame, 3).fields.map(({ length }) => length),
    [1, 300, 0],
  );
  for (let length = 0; length < frame.length; length++) {
    assert.equal(
      codeThrownBy(() => readFrame(frame.subarray(0, length), 3)),
      'sealed-malformed',
    );
  }
});

test('the error table: every retry has an end, messages are constants, enhanced codes fit the basic ones', () => {
  for (const [code, entry] of Object.entries(errors)) {
    const [basic, enhanced] = entry.smtp;
    assert.match(enhanced, /^[45]\.\d{1,3}\.\d{1,3}$/, code);
    if (entry.action !== 'reject') assert.equal(Math.floor(basic / 100) === 5 || entry.action === 'retry', true, code);
    if (entry.action === 'retry') assert.ok('exhausted' in entry, code);
    assert.ok(entry.text.length > 10 && !/[\r\n]/.test(entry.text), code);
  }
});

test('outcomes: retries end by age, rejections of accepted mail become bounces, the impossible is set aside', () => {
  const of = (code: keyof typeof errors, age: number) => outcomeOf(new SealpostError(code), age, 100).outcome;
  assert.equal(of('next-hop-deferred', 99), 'retry');
  assert.equal(of('next-hop-deferred', 100), 'bounce');
  assert.equal(of('key-service-sealed', 100), 'quarantine');
  assert.equal(of('too-many-hops', 0), 'bounce');
  assert.equal(of('ticket-invalid', 0), 'quarantine');
  assert.deepEqual(outcomeOf(new TypeError('x'), 0, 100), { code: 'internal', outcome: 'retry' });
  for (let attempt = 0; attempt < 40; attempt++) {
    assert.ok(retryDelayMs(attempt, 1) <= 15 * 60_000);
    assert.ok(retryDelayMs(attempt, 0) >= 500);
  }
});
