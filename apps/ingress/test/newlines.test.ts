// Line ends: what others may take for the end of a line, a header or a message never gets in, and where a message ends does not
// depend on how it was cut into segments.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { SmtpSource } from '@sealpost/testkit';
import { alpha, idIn, mail, memoryQueue, startGateway } from './gateway.ts';

const queue = memoryQueue();
const gateway = await startGateway({
  backing: queue,
  outbound: {
    sources: [alpha, { ...alpha, name: 'bare-lf', networks: ['127.0.0.2/32'], normaliseBareLf: true }],
  },
});
after(() => gateway[Symbol.asyncDispose]());

/** Hands over bytes between DATA and the final dot, unstuffed. */
async function raw(client: SmtpSource, bytes: string): Promise<string> {
  await client.command('MAIL FROM:<alice@alpha.test>');
  await client.command('RCPT TO:<bob@beta.test>');
  assert.equal((await client.command('DATA')).code, 354);
  await client.write(Buffer.from(`${bytes}\r\n.\r\n`, 'latin1'));
  const { text } = await client.reply();
  assert.equal((await client.command('NOOP')).code, 250);
  return text;
}

async function queued(text: string): Promise<string> {
  const id = /as (m[0-9a-f]{31})$/.exec(text)?.[1];
  const job = queue.jobs.find((each) => each.id === id);
  assert.ok(job, text);
  return (await gateway.keys.open(job, queue.blobs)).message;
}

test('bare CR, bare LF and NUL are refused wherever they stand', async () => {
  await using outbound = await gateway.outbound();
  await using inbound = await gateway.inbound();
  await outbound.greet();
  await inbound.greet();
  const before = queue.jobs.length;
  for (const client of [outbound, inbound]) {
    for (const [byte, reply] of [
      ['\r', /^550 5\.6\.11 .*bare CR/],
      ['\n', /^550 5\.6\.11 .*bare LF/],
      ['\0', /^550 5\.6\.11 .*NUL/],
    ] as const) {
      for (const message of [
        `${byte}${mail()}`,
        mail(`Alice${byte} <alice@alpha.test>`),
        `From: alice@alpha.test${byte}\r\n\r\nx`,
        `From: alice@alpha.test\r\n${byte}\r\nx`,
        `From: alice@alpha.test\r\n\r\n${byte}x`,
        `${mail()}x${byte}`,
        mail(undefined, `${'x'.repeat(70_000)}${byte}y`),
      ])
        assert.match(await raw(client, message), reply, JSON.stringify(message.slice(0, 60)));
    }
  }
  assert.equal(queue.jobs.length, before);
});

const sequencesFile = join(import.meta.dirname, '../../../../shared/corpus/smtp-smuggling/sequences.json');
const skip = existsSync(sequencesFile) ? false : 'the corpus is not there';

test('no smuggling sequence ends a message or gets in', { skip }, async () => {
  const sequences: Record<string, string[]> = JSON.parse(readFileSync(sequencesFile, 'utf8'));
  const all = [
    ...(sequences.must_not_end_data_and_must_not_be_forwarded_raw ?? []),
    ...(sequences.extra_from_CVE_reports ?? []),
  ];
  assert.ok(all.length >= 10);
  const smuggled =
    'MAIL FROM:<eve@alpha.test>\r\nRCPT TO:<bob@beta.test>\r\nDATA\r\nFrom: eve@alpha.test\r\n\r\nsmuggled';
  const before = queue.jobs.length;
  for (const client of [await gateway.outbound(), await gateway.inbound()]) {
    await client.greet();
    for (const sequence of all) {
      const text = await raw(client, `${mail()}first${sequence}${smuggled}`);
      assert.match(text, /^550 5\.6\.11 /, JSON.stringify(sequence));
    }
    client.end();
  }
  assert.equal(queue.jobs.length, before);
});

test('a source that may send bare LF has it made CRLF, and still cannot smuggle', async () => {
  await using client = await gateway.outbound('127.0.0.2');
  await client.greet();
  const lines = 'From: alice@alpha.test\nSubject: x\n\nfirst\n.\nMAIL FROM:<eve@alpha.test>\n..\r\nlast';
  const message = await queued(await raw(client, lines));
  assert.equal(
    message,
    'From: alice@alpha.test\r\nSubject: x\r\n\r\nfirst\r\n.\r\nMAIL FROM:<eve@alpha.test>\r\n.\r\nlast\r\n',
  );
  assert.match(await raw(client, `${mail()}a\rb`), /^550 5\.6\.11 /);
  assert.match(await raw(client, `${mail()}a\0b`), /^550 5\.6\.11 /);
  // A CR at the end of one segment and its LF at the start of the next are one line end.
  const large = mail(undefined, 'line\r\n'.repeat(30_000));
  assert.equal(await queued(await raw(client, large)), `${large}\r\n`);
});

test('a message cut at any byte is the same message', async () => {
  await using client = await gateway.outbound();
  await client.greet();
  const message = 'From: a@alpha.test\r\n\r\n..\r\n.x\r\n\r\n.\r\n\r\n\r\ny\r\n';
  const wire = message.replace(/(^|\r\n)\./g, '$1..');
  for (const start of ['', '..\r\n']) {
    const bytes = `${start}${wire}.\r\nNOOP\r\n`;
    for (let cut = 1; cut < bytes.length; cut++) {
      await client.command('MAIL FROM:<a@alpha.test>');
      await client.command('RCPT TO:<b@beta.test>');
      await client.command('DATA');
      await client.writeSplit(bytes, [cut], 1);
      const reply = await client.reply();
      // A first line that is a dot is no header field; it must still not end the message.
      if (start) assert.match(reply.text, /^550 5\.6\.0 /, `cut at ${cut}`);
      else assert.equal(await queued(reply.text), message, `cut at ${cut}`);
      assert.equal((await client.reply()).code, 250, `cut at ${cut}`);
    }
  }
});

test('a message that trickles in byte by byte is the same message', async () => {
  await using client = await gateway.outbound();
  await client.greet();
  const bytes = 'From: a@alpha.test\r\n\r\n..\r\n..x\r\n.\r\n';
  await client.command('MAIL FROM:<a@alpha.test>');
  await client.command('RCPT TO:<b@beta.test>');
  await client.command('DATA');
  await client.writeSplit(bytes, Array.from(bytes, (_, at) => at).slice(1), 1);
  assert.equal(await queued((await client.reply()).text), 'From: a@alpha.test\r\n\r\n.\r\n.x\r\n');
});

test('the empty message is answered like any other', async () => {
  await using client = await gateway.inbound();
  await client.greet();
  await client.command('MAIL FROM:<>');
  await client.command('RCPT TO:<b@beta.test>');
  await client.command('DATA');
  idIn(await client.command('.'));
});
