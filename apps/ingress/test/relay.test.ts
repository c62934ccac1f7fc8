// The gateway as a stranger tries it: every classic way to make a server relay for nobody.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { idIn, mail, memoryQueue, startGateway } from './gateway.ts';

const queue = memoryQueue();
const gateway = await startGateway({ backing: queue });
after(() => gateway[Symbol.asyncDispose]());

/** A loopback address that no source lists. */
const elsewhere = '127.0.0.9';

test('a stranger cannot send through the outbound listener, whoever he says he is', async () => {
  await using stranger = await gateway.outbound(elsewhere);
  await stranger.greet('alpha.test');
  for (const from of ['spam@evil.test', 'alice@alpha.test', '', 'postmaster@gateway.test', 'alice@[127.0.0.1]']) {
    const { text } = await stranger.command(`MAIL FROM:<${from}>`);
    assert.match(text, /^550 5\.7\.1 This host may not send mail/, from);
    assert.equal((await stranger.command('RCPT TO:<bob@beta.test>')).code, 503);
    assert.equal((await stranger.command('DATA')).code, 503);
  }
});

test('the inbound listener relays to nowhere', async () => {
  const foreign: Record<string, RegExp> = {
    'victim@victim.test': /^550 5\.7\.1 This gateway does not accept mail for that domain/,
    'victim%victim.test@alpha.test': /^550 5\.7\.1 /,
    'victim%victim.test': /^501 5\.1\.3 /,
    'victim.test!victim@alpha.test': /^550 5\.7\.1 /,
    'victim.test!victim': /^501 5\.1\.3 /,
    '"victim@victim.test"@alpha.test': /^501 5\.1\.3 /,
    '"victim%victim.test"@alpha.test': /^550 5\.7\.1 /,
    '"victim@victim.test"': /^501 5\.1\.3 /,
    'victim@victim.test@alpha.test': /^501 5\.1\.3 /,
    '@alpha.test:victim@victim.test': /^550 5\.7\.1 /,
    '@alpha.test,@beta.test:victim@victim.test': /^550 5\.7\.1 /,
    'victim@[127.0.0.1]': /^550 5\.7\.1 /,
    'victim@[IPv6:::1]': /^550 5\.7\.1 /,
    'victim@alpha.test.': /^501 5\.1\.3 /,
    'victim@sub.alpha.test': /^550 5\.7\.1 /,
    'victim@notalpha.test': /^550 5\.7\.1 /,
    'victim@gateway.test': /^550 5\.7\.1 /,
    'victim@localhost': /^550 5\.7\.1 /,
    victim: /^501 5\.1\.3 /,
    '': /^501 5\.1\.3 /,
  };
  for (const from of ['spam@evil.test', '', 'alice@alpha.test', 'alice@gateway.test']) {
    for (const [to, reply] of Object.entries(foreign)) {
      await using session = await gateway.inbound(elsewhere);
      await session.greet();
      assert.equal((await session.command(`MAIL FROM:<${from}>`)).code, 250);
      assert.match((await session.command(`RCPT TO:<${to}>`)).text, reply, to);
      assert.equal((await session.command('DATA')).code, 503);
    }
  }
  assert.deepEqual(queue.jobs, []);
});

test('a source route to one of ours is ignored, as RFC 5321 appendix C wants it', async () => {
  await using client = await gateway.inbound();
  await client.greet();
  const { message } = await client.send({ from: '', to: ['@relay.test:bob@beta.test'], message: mail() });
  const { envelope } = await gateway.keys.open(jobOf(idIn(message)), queue.blobs);
  assert.deepEqual(envelope.recipients, [{ address: 'bob@beta.test' }]);
});

test('recipients of two organisations do not share a transaction', async () => {
  await using client = await gateway.inbound();
  await client.greet();
  const { rcpt, message } = await client.send({ from: '', to: ['a@alpha.test', 'b@beta.test'], message: mail() });
  assert.deepEqual(
    rcpt.map(({ text }) => text.slice(0, 9)),
    ['250 2.1.5', '451 4.5.3'],
  );
  const { envelope, ticket } = await gateway.keys.open(jobOf(idIn(message)), queue.blobs);
  assert.equal(ticket.tenant, 'alpha');
  assert.deepEqual(envelope.recipients, [{ address: 'a@alpha.test' }]);
});

test('the bare postmaster is taken in', async () => {
  await using client = await gateway.inbound();
  await client.greet();
  const { message } = await client.send({ from: '', to: ['Postmaster'], message: mail() });
  const { envelope } = await gateway.keys.open(jobOf(idIn(message)), queue.blobs);
  assert.deepEqual(envelope.recipients, [{ address: 'Postmaster@alpha.test' }]);
});

test('who tries out addresses is sent away', async () => {
  await using client = await gateway.inbound();
  await client.greet();
  await client.command('MAIL FROM:<>');
  let refused = 0;
  for (;;) {
    const { code } = await client.command(`RCPT TO:<nobody${refused}@elsewhere.test>`);
    if (code === 421) break;
    assert.equal(code, 550);
    refused++;
  }
  assert.equal(refused, 50);
  await client.closed;
});

test('commands that let a client claim to be another do not exist', async () => {
  await using client = await gateway.inbound();
  const hello = await client.greet();
  assert.deepEqual(
    [...hello.lines].sort(),
    [
      '8BITMIME',
      'DSN',
      'ENHANCEDSTATUSCODES',
      'PIPELINING',
      `SIZE ${35 * 1024 ** 2 - 64 * 1024}`,
      'SMTPUTF8',
      'gateway.test greets [127.0.0.1]',
    ].sort(),
  );
  for (const line of [
    'AUTH PLAIN AGEAYg==',
    'XCLIENT ADDR=127.0.0.1',
    'XFORWARD ADDR=127.0.0.1',
    'WIZ x',
    'BDAT 5 LAST',
  ])
    assert.equal((await client.command(line)).code, 500, line);
});

function jobOf(id: string) {
  const job = queue.jobs.find((each) => each.id === id);
  assert.ok(job);
  return job;
}
