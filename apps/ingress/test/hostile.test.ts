// Whatever bytes come, the process stays and the next client is served.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { memoryQueue, startGateway } from './gateway.ts';

const line = fc.oneof(
  fc.constantFrom(
    'EHLO x',
    'HELO x',
    'MAIL FROM:<a@alpha.test>',
    'RCPT TO:<b@beta.test>',
    'DATA',
    '.',
    'RSET',
    'NOOP',
    'VRFY',
  ),
  fc.constantFrom(
    'STARTTLS',
    'AUTH',
    'HELP',
    'QUIT',
    'GET / HTTP/1.1',
    'MAIL FROM:<',
    'RCPT TO:',
    'EHLO',
    'MAIL FROM:<>  =',
    ' ',
  ),
  fc
    .tuple(fc.constantFrom('MAIL FROM:<', 'RCPT TO:<', 'EHLO ', 'From: '), fc.string({ unit: 'binary', maxLength: 40 }))
    .map((parts) => parts.join('')),
  fc.string({ unit: 'binary', maxLength: 200 }),
);
const ending = fc.constantFrom('\r\n', '\n', '\r', '', '\r\n.\r\n', '\0');
const session = fc.array(fc.tuple(line, ending), { maxLength: 30 }).map((lines) => lines.flat().join(''));

test('random dialogues end in replies, and nothing that was not answered with 250 is kept', async () => {
  const queue = memoryQueue();
  await using gateway = await startGateway({ backing: queue });
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(session, fc.boolean(), async (bytes, outbound) => {
      const client = await (outbound ? gateway.outbound() : gateway.inbound());
      await client.reply();
      await client.write(Buffer.from(bytes));
      await client.write('\r\n.\r\nQUIT\r\n');
      for (;;) {
        const reply = await client.reply().catch(() => undefined);
        if (!reply) break;
        assert.ok(reply.code >= 200 && reply.code < 600, reply.text);
        if (reply.text.includes(' Ok: queued as ')) accepted++;
        if (reply.code === 221 || reply.code === 421) break;
      }
      client.reset();
    }),
    { seed: 20_26, numRuns: 300 },
  );
  assert.equal(queue.jobs.length, accepted);
  assert.equal(queue.blobs.ids().length, accepted);
});

test('a command line without an end is ended', async () => {
  await using gateway = await startGateway();
  await using client = await gateway.inbound();
  await client.reply();
  await client.write('x'.repeat(100_000));
  assert.equal((await client.reply()).code, 421);
  await client.closed;
});
