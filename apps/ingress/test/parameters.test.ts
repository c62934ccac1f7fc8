// MAIL and RCPT parameters: kept as they were given, or refused.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { codeOf } from '@sealpost/core';
import { readRecipient, readSender } from '../src/parameters.ts';
import { idIn, memoryQueue, startGateway } from './gateway.ts';

const queue = memoryQueue();
const gateway = await startGateway({ backing: queue });
after(() => gateway[Symbol.asyncDispose]());

const plain = { address: 'a@alpha.test', eightBit: false, smtpUtf8: false };
const result = (read: () => unknown): unknown => {
  try {
    return read();
  } catch (error) {
    return codeOf(error);
  }
};

const senders: Record<string, unknown> = {
  'MAIL FROM:<a@alpha.test>': plain,
  'mail from: <a@alpha.test>  ': plain,
  'MAIL FROM:<>': { ...plain, address: '' },
  'MAIL FROM:<@relay.test:a@alpha.test>': plain,
  'MAIL FROM:<a@alpha.test> SIZE=100 BODY=8bitmime': { ...plain, size: 100, eightBit: true },
  'MAIL FROM:<a@alpha.test> ret=hdrs ENVID=QQ+2B314159': { ...plain, ret: 'HDRS', envid: 'QQ+2B314159' },
  'MAIL FROM:<ä@xn--bcher-kva.test> SMTPUTF8': { ...plain, address: 'ä@xn--bcher-kva.test', smtpUtf8: true },
  'MAIL FROM:<ä@alpha.test>': 'sender-malformed',
  'MAIL FROM:<\ufffd@alpha.test> SMTPUTF8': 'sender-malformed',
  'MAIL FROM:<a b@alpha.test>': 'sender-malformed',
  'MAIL FROM:<a@alpha.test> BODY=BINARYMIME': 'parameter-unsupported',
  'MAIL FROM:<a@alpha.test> AUTH=<>': 'parameter-unsupported',
  'MAIL FROM:<a@alpha.test> REQUIRETLS': 'parameter-unsupported',
  'MAIL FROM:<a@alpha.test> RET=SOME': 'parameter-unsupported',
  'MAIL FROM:<a@alpha.test> RET=FULL RET=FULL': 'parameter-unsupported',
  'MAIL FROM:<a@alpha.test> ENVID=a=b': 'parameter-unsupported',
  'MAIL FROM:<a@alpha.test> ENVID=+2b': 'parameter-unsupported',
  'MAIL FROM:<a@alpha.test> ENVID': 'parameter-unsupported',
  [`MAIL FROM:<a@alpha.test> ENVID=${'x'.repeat(101)}`]: 'parameter-unsupported',
  'MAIL FROM:<a@alpha.test> SIZE=-1': 'parameter-unsupported',
};
for (const [line, expected] of Object.entries(senders))
  test(line.slice(0, 70), () =>
    assert.deepEqual(
      result(() => readSender(line)),
      expected,
    ),
  );

const recipients: Record<string, unknown> = {
  'RCPT TO:<b@beta.test>': { address: 'b@beta.test' },
  'RCPT TO:<b@beta.test> NOTIFY=NEVER': { address: 'b@beta.test', notify: ['NEVER'] },
  'RCPT TO:<b@beta.test> notify=delay,Success ORCPT=rfc822;B+2Bx@beta.test': {
    address: 'b@beta.test',
    notify: ['SUCCESS', 'DELAY'],
    orcpt: 'rfc822;B+2Bx@beta.test',
  },
  'RCPT TO:<b@beta.test> NOTIFY=NEVER,DELAY': 'parameter-unsupported',
  'RCPT TO:<b@beta.test> NOTIFY=DELAY,DELAY': 'parameter-unsupported',
  'RCPT TO:<b@beta.test> NOTIFY=': 'parameter-unsupported',
  'RCPT TO:<b@beta.test> NOTIFY=OFTEN': 'parameter-unsupported',
  'RCPT TO:<b@beta.test> ORCPT=b@beta.test': 'parameter-unsupported',
  'RCPT TO:<b@beta.test> ORCPT=rfc822;a=b': 'parameter-unsupported',
  [`RCPT TO:<b@beta.test> ORCPT=rfc822;${'x'.repeat(500)}`]: 'parameter-unsupported',
  'RCPT TO:<b@beta.test> SIZE=1': 'parameter-unsupported',
  'RCPT TO:<ü@beta.test>': 'recipient-malformed',
  'RCPT TO:<postmaster>': 'recipient-malformed',
};
for (const [line, expected] of Object.entries(recipients))
  test(line.slice(0, 70), () =>
    assert.deepEqual(
      result(() => readRecipient(line, false)),
      expected,
    ),
  );

test('with SMTPUTF8 an original recipient may be written in its own characters', () => {
  const line = 'RCPT TO:<ü@beta.test> ORCPT=utf-8;ü@beta.test';
  assert.deepEqual(readRecipient(line, true), { address: 'ü@beta.test', orcpt: 'utf-8;ü@beta.test' });
  assert.throws(() => readRecipient(line.replace('<ü', '<u'), false), { code: 'parameter-unsupported' });
});

test('DSN parameters, 8BITMIME and SMTPUTF8 reach the sealed envelope as they were given', async () => {
  await using client = await gateway.outbound();
  await client.greet();
  const line = async (text: string) => assert.equal((await client.command(text)).code, 250, text);
  await line('MAIL FROM:<älice@alpha.test> BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=a+2Bb+3D');
  await line('RCPT TO:<bob@xn--bcher-kva.test> NOTIFY=FAILURE,DELAY ORCPT=rfc822;Bob+2B1@beta.test');
  await line('RCPT TO:<carol@bücher.test> NOTIFY=NEVER');
  assert.equal((await client.command('DATA')).code, 354);
  await client.write('From: Älice <älice@alpha.test>\r\n\r\nGrüße\r\n.\r\n');
  const id = idIn(await client.reply());
  const job = queue.jobs.find((each) => each.id === id);
  assert.ok(job);
  const { envelope, received, message } = await gateway.keys.open(job, queue.blobs);
  assert.deepEqual(envelope, {
    mailFrom: 'älice@alpha.test',
    headerFrom: 'älice@alpha.test',
    recipients: [
      { address: 'bob@xn--bcher-kva.test', notify: ['FAILURE', 'DELAY'], orcpt: 'rfc822;Bob+2B1@beta.test' },
      { address: 'carol@bücher.test', notify: ['NEVER'] },
    ],
    ret: 'FULL',
    envid: 'a+2Bb+3D',
    eightBit: true,
    smtpUtf8: true,
    salt: envelope.salt,
  });
  assert.match(received, / with UTF8SMTP id /);
  assert.equal(Buffer.from(message, 'latin1').toString(), 'From: Älice <älice@alpha.test>\r\n\r\nGrüße\r\n');
});

test('what is not carried on is refused in the dialogue', async () => {
  await using client = await gateway.outbound();
  await client.greet();
  for (const [line, reply] of [
    ['MAIL FROM:<ä@alpha.test>', /^553 5\.1\.7 /],
    ['MAIL FROM:<a@alpha.test> BODY=BINARYMIME', /^501 /],
    ['MAIL FROM:<a@alpha.test> RET=HALF', /^501 /],
    ['MAIL FROM:<a@alpha.test> ENVID=a ENVID=b', /^501 /],
    ['MAIL FROM:<a@alpha.test> REQUIRETLS', /^5(30|55) /],
    ['MAIL FROM:<a@alpha.test> MT-PRIORITY=3', /^555 5\.5\.4 /],
    ['MAIL FROM:<a@alpha.test> ENVID=a+0Ab', /^501 /],
  ] as const)
    assert.match((await client.command(line)).text, reply, line);
});

test('RSET, EHLO and a refused MAIL leave nothing of the transaction before', async () => {
  await using client = await gateway.outbound();
  await client.greet();
  for (const ending of ['RSET', 'EHLO again.test']) {
    await client.command('MAIL FROM:<old@alpha.test> RET=FULL');
    await client.command('RCPT TO:<old@beta.test>');
    await client.command(ending);
    const { message } = await client.send({
      from: 'new@alpha.test',
      to: ['new@beta.test'],
      message: 'From: a@alpha.test\r\n\r\n',
    });
    const job = queue.jobs.find(({ id }) => id === idIn(message));
    assert.ok(job);
    const { envelope } = await gateway.keys.open(job, queue.blobs);
    assert.deepEqual(
      [envelope.mailFrom, envelope.ret, envelope.recipients],
      ['new@alpha.test', undefined, [{ address: 'new@beta.test' }]],
    );
  }
});
