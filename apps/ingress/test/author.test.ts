// Exactly one author, and one whom the source may speak for: the gateway signs in this name.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { codeOf } from '@sealpost/core';
import { checkHeaders, oneAuthor } from '../src/check-message.ts';
import { idIn, memoryQueue, startGateway } from './gateway.ts';

const queue = memoryQueue();
const gateway = await startGateway({ backing: queue });
after(() => gateway[Symbol.asyncDispose]());

const outcome = (header: string): string => {
  try {
    return oneAuthor(checkHeaders(Buffer.from(`${header}\r\nSubject: x\r\n\r\nFrom: body@evil.test\r\n`)));
  } catch (error) {
    return codeOf(error);
  }
};

const cases: Record<string, string> = {
  'From: alice@alpha.test': 'alice@alpha.test',
  'from : alice@ALPHA.test': 'alice@alpha.test',
  'From: Alice <alice@alpha.test>': 'alice@alpha.test',
  'From: "Alice, <eve@evil.test>" <alice@alpha.test>': 'alice@alpha.test',
  'From: Alice (eve@evil.test) <alice@alpha.test>': 'alice@alpha.test',
  'From:\r\n Alice\r\n <alice@alpha.test>': 'alice@alpha.test',
  'From: =?utf-8?q?eve=40evil=2Etest?= <alice@alpha.test>': 'alice@alpha.test',
  'From: Ålice <alice@alpha.test>': 'alice@alpha.test',
  'Subject: none': 'from-missing',
  'From:': 'from-missing',
  'From: Alice': 'from-missing',
  'From: <>': 'from-missing',
  'From: undisclosed:;': 'from-missing',
  'From: alice@alpha.test\r\nFrom: alice@alpha.test': 'from-multiple',
  'From: alice@alpha.test\r\nFROM : eve@evil.test': 'from-multiple',
  'From: alice@alpha.test, eve@evil.test': 'from-multiple',
  'From: alice@alpha.test,\r\n eve@evil.test': 'from-multiple',
  'From: friends: alice@alpha.test;': 'from-multiple',
  'From: friends: alice@alpha.test, eve@evil.test;': 'from-multiple',
  'From: <alice@alpha.test> <eve@evil.test>': 'from-multiple',
  'From: eve@evil.test <alice@alpha.test>': 'from-multiple',
  'From: <@evil.test:alice@alpha.test>': 'from-multiple',
  'From: alice@alpha.test, broken': 'from-multiple',
  'From: "open <eve@evil.test> <alice@alpha.test>': 'from-missing',
  'From: (" ) <eve@evil.test> (" ) <alice@alpha.test>': 'from-multiple',
  'From: (a (b) eve@evil.test) <alice@alpha.test>': 'from-multiple',
  [`From: ${'a'.repeat(5_000)} <alice@alpha.test>`]: 'from-multiple',
  'no colon here\r\nFrom: alice@alpha.test': 'headers-malformed',
  ' folded nothing\r\nFrom: alice@alpha.test': 'headers-malformed',
  'From\u000b: eve@evil.test\r\nFrom: alice@alpha.test': 'headers-malformed',
  'Fröm: eve@evil.test\r\nFrom: alice@alpha.test': 'headers-malformed',
};

for (const [header, expected] of Object.entries(cases)) {
  test(`${JSON.stringify(header).slice(0, 80)} is ${expected}`, () => assert.equal(outcome(header), expected));
}

test('a hundred hops are too many, ninety-nine are not', () => {
  const hops = (count: number) => Buffer.from(`${'Received: x\r\n'.repeat(count)}From: a@alpha.test\r\n\r\n`);
  assert.equal(checkHeaders(hops(99)).length, 100);
  assert.throws(() => checkHeaders(hops(100)), { code: 'too-many-hops' });
});

test('the dialogue refuses a foreign, doubled or missing From and takes the right one', async () => {
  await using client = await gateway.outbound();
  await client.greet();
  const send = async (header: string, from = 'alice@alpha.test') =>
    (await client.send({ from, to: ['bob@beta.test'], message: `${header}\r\n\r\nHi\r\n` })).message;
  assert.match((await send('From: eve@evil.test'))?.text ?? '', /^550 5\.7\.1 The From domain/);
  // Another tenant of the same gateway is foreign too.
  assert.match((await send('From: bob@beta.test'))?.text ?? '', /^550 5\.7\.1 The From domain/);
  assert.match((await send('From: a@alpha.test.evil.test'))?.text ?? '', /^550 5\.7\.1 /);
  assert.match((await send('From: a@alpha.test\r\nFrom: b@alpha.test'))?.text ?? '', /^550 5\.6\.0 /);
  assert.match((await send('Subject: no author'))?.text ?? '', /^550 5\.6\.0 /);
  assert.deepEqual(queue.jobs, []);
  // MAIL FROM may be anything: BATV and SRS rewrite it, and reports have none.
  for (const from of ['prvs=123=alice@alpha.test', 'SRS0=x=evil.test=eve@alpha.test', ''])
    idIn(await send('From: Alice <alice@alpha.test>', from));
  assert.equal(queue.jobs.length, 3);
});
