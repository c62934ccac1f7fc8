// What a client may take of the gateway, and what happens to one that takes more, leaves in the middle, or never comes to an end.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { manualClock, type SmtpSource } from '@sealpost/testkit';
import { byteBudget, clientLimits } from '../src/limits.ts';
import { alpha, type GatewayOptions, idIn, mail, memoryQueue, startGateway } from './gateway.ts';

const transaction = { from: 'alice@alpha.test', to: ['bob@beta.test'], message: mail() };
const kib = 1024;

/** A gateway with these options, its queue, and a greeted outbound session. */
async function open(options: GatewayOptions = {}) {
  const queue = memoryQueue();
  const gateway = await startGateway({ backing: queue, ...options });
  const client = await gateway.outbound();
  await client.greet();
  return { queue, gateway, client, [Symbol.asyncDispose]: () => gateway[Symbol.asyncDispose]() };
}

async function beginData(client: SmtpSource): Promise<void> {
  await client.command('MAIL FROM:<alice@alpha.test>');
  await client.command('RCPT TO:<bob@beta.test>');
  assert.equal((await client.command('DATA')).code, 354);
}

test('SIZE follows from the next hop, and a larger message is refused by declaration and by its bytes', async () => {
  await using gateway = await open({ outbound: { sources: [alpha], nextHopBytes: 140 * kib } });
  const { client, queue } = gateway;
  assert.ok((await client.command('EHLO x.test')).lines.includes(`SIZE ${100 * kib}`));
  assert.match((await client.command(`MAIL FROM:<a@alpha.test> SIZE=${100 * kib + 1}`)).text, /^552 5\.3\.4 /);
  const body = (bytes: number) => `${'x'.repeat(bytes - 2)}\r\n`;
  const fits = 100 * kib - mail(undefined, '').length;
  const { message } = await client.send({ ...transaction, message: mail(undefined, body(fits)) });
  idIn(message);
  const refused = await client.send({ ...transaction, message: mail(undefined, body(fits + 1)) });
  assert.match(refused.message?.text ?? '', /^552 5\.3\.4 The message is larger/);
  // Far beyond: still read to its end, still answered, nothing kept.
  const far = await client.send({ ...transaction, message: mail(undefined, body(5_000 * kib)) });
  assert.match(far.message?.text ?? '', /^552 5\.3\.4 /);
  assert.equal(queue.jobs.length, 1);
});

test('recipients beyond the limit are asked for in another transaction', async () => {
  await using gateway = await open({ limits: { knockMs: 0, recipients: 100 } });
  const { client, queue } = gateway;
  const to = Array.from({ length: 102 }, (_, at) => `r${at}@elsewhere.test`);
  const { rcpt, message } = await client.send({ ...transaction, to });
  assert.deepEqual(
    rcpt.map(({ code }) => code),
    [...Array<number>(100).fill(250), 452, 452],
  );
  assert.match(rcpt.at(-1)?.text ?? '', /^452 4\.5\.3 Too many recipients/);
  idIn(message);
  const [job] = queue.jobs;
  assert.ok(job);
  const { envelope } = await gateway.gateway.keys.open(job, queue.blobs);
  assert.equal(envelope.recipients.length, 100);
});

test('the budget of bytes in flight: 452 until others are done', async () => {
  await using gateway = await open({ limits: { knockMs: 0, bytesInFlight: 1024 * kib } });
  const { client, queue } = gateway;
  await using other = await gateway.gateway.outbound();
  await other.greet();
  await beginData(other);
  await other.write(mail(undefined, 'x'.repeat(500 * kib)));
  const large = { ...transaction, message: mail(undefined, `${'y'.repeat(600 * kib)}\r\n`) };
  await until(async () => {
    await client.command('RSET');
    return (await client.command('MAIL FROM:<a@alpha.test> SIZE=614400')).code === 452;
  });
  assert.match((await client.send(large)).message?.text ?? '', /^452 4\.3\.1 The gateway holds as much mail/);
  idIn((await client.send(transaction)).message);
  await other.write('\r\n.\r\n');
  idIn(await other.reply());
  idIn((await client.send(large)).message);
  assert.equal(queue.jobs.length, 3);
});

test('a client that leaves at any point leaves nothing', async () => {
  await using gateway = await open();
  const { queue } = gateway;
  const dialogue = 'EHLO x.test\r\nMAIL FROM:<a@alpha.test>\r\nRCPT TO:<b@beta.test>\r\nDATA\r\n';
  const wire = Buffer.from(`${dialogue}${mail()}.\r\n`);
  for (let cut = 0; cut < wire.length - 1; cut += 3) {
    const client = await gateway.gateway.outbound();
    await client.reply();
    await client.write(wire.subarray(0, cut));
    if (cut % 2) client.reset();
    else client.end();
  }
  await until(async () => gateway.gateway.ingress.outbound.sessions === 1);
  assert.deepEqual([queue.jobs, queue.blobs.ids()], [[], []]);
  idIn((await gateway.client.send(transaction)).message);
});

test('RST in the middle of a large DATA gives its bytes back', async () => {
  await using gateway = await open({ limits: { knockMs: 0, bytesInFlight: 1024 * kib } });
  for (let at = 0; at < 5; at++) {
    const client = await gateway.gateway.outbound();
    await client.greet();
    await beginData(client);
    await client.write(mail(undefined, 'x'.repeat(600 * kib)));
    client.reset();
  }
  await until(async () => gateway.gateway.ingress.outbound.sessions === 1);
  const large = { ...transaction, message: mail(undefined, `${'y'.repeat(800 * kib)}\r\n`) };
  idIn((await gateway.client.send(large)).message);
});

test('a DATA that drips is ended with 421', async () => {
  await using gateway = await open({ pace: { slowStartMs: 200, slowestBytesPerSecond: 1_000 } });
  const { client, queue } = gateway;
  await beginData(client);
  const dripping = setInterval(() => void client.write('x'), 20);
  assert.match((await client.reply()).text, /^421 4\.4\.2 The session took too long/);
  clearInterval(dripping);
  assert.deepEqual(queue.jobs, []);
});

test('a session has an end, however busy it keeps itself', async () => {
  await using gateway = await open({ pace: { sessionMs: 300 } });
  const { client } = gateway;
  const started = performance.now();
  for (;;) {
    const reply = await client.command('NOOP');
    if (reply.code === 421) {
      assert.match(reply.text, /^421 4\.4\.2 /);
      break;
    }
    await sleep(10);
  }
  assert.ok(performance.now() - started > 200);
  await client.closed;
});

test('a session whose time ends while its message is stored hears 250 first', async () => {
  const queue = memoryQueue();
  const slow = {
    ...queue.publisher,
    publish: (jobs: Parameters<typeof queue.publisher.publish>[0]) =>
      sleep(400).then(() => queue.publisher.publish(jobs)),
  };
  await using gateway = await open({ pace: { sessionMs: 300 }, backing: { ...queue, publisher: slow } });
  idIn((await gateway.client.send(transaction)).message);
  assert.match((await gateway.client.reply()).text, /^421 4\.4\.2 /);
});

test('a silent session is ended', async () => {
  await using gateway = await open({ pace: { idleMs: 150 } });
  assert.equal((await gateway.client.reply()).code, 421);
});

test('sessions of one client and of all are bounded', async () => {
  await using gateway = await open({
    outbound: { sources: [alpha], clients: { sessions: 2 } },
    limits: { knockMs: 0, sessions: 4 },
  });
  const session = async (address: string) => {
    const client = await gateway.gateway.outbound(address);
    return { client, greeting: await client.reply() };
  };
  const second = await session('127.0.0.1');
  assert.equal(second.greeting.code, 220);
  const third = await session('127.0.0.1');
  assert.match(third.greeting.text, /^421 4\.7\.0 Too many connections/);
  assert.equal((await session('127.0.0.2')).greeting.code, 220);
  assert.equal((await session('127.0.0.3')).greeting.code, 220);
  assert.equal((await session('127.0.0.4')).greeting.code, 421);
  second.client.end();
  await second.client.closed;
  await until(async () => (await session('127.0.0.1')).greeting.code === 220);
});

test('messages a minute of one client are bounded', async () => {
  await using gateway = await open({ outbound: { sources: [alpha], clients: { messagesPerMinute: 3 } } });
  for (let at = 0; at < 3; at++) idIn((await gateway.client.send(transaction)).message);
  assert.match((await gateway.client.send(transaction)).mail.text, /^450 4\.7\.1 Too much mail/);
});

test('who talks before the greeting is sent away; a trusted network is greeted at once', async () => {
  const sources = [alpha, { ...alpha, name: 'knocking', networks: ['127.0.0.2/32'], knock: true }];
  await using gateway = await startGateway({ outbound: { sources }, limits: { knockMs: 250 } });
  const greeted = async (address: string) => {
    const started = performance.now();
    await using client = await gateway.outbound(address);
    assert.equal((await client.reply()).code, 220);
    return performance.now() - started;
  };
  assert.ok((await greeted('127.0.0.1')) < 150);
  assert.ok((await greeted('127.0.0.2')) > 200);
  assert.ok((await greeted('127.0.0.9')) > 200);
  await using hasty = await gateway.inbound();
  await hasty.write('EHLO x.test\r\n');
  assert.match((await hasty.reply()).text, /^421 .*You talk too soon/);
});

test('the budget counts what is open and forgets what is released', () => {
  const budget = byteBudget(10);
  const [one, two] = [budget.open(), budget.open()];
  assert.deepEqual([one.grow(6), two.grow(5), two.grow(4), budget.used], [true, false, true, 10]);
  one.release();
  one.release();
  assert.deepEqual([budget.used, two.grow(6), budget.used], [4, true, 10]);
});

test('a rate refills evenly, and an IPv6 client is its /64', () => {
  const clock = manualClock();
  const limits = clientLimits({ sessions: 1, messagesPerMinute: 2 }, clock);
  limits.message('192.0.2.1');
  limits.message('192.0.2.1');
  assert.throws(() => limits.message('192.0.2.1'), { code: 'rate-limited' });
  limits.message('192.0.2.2');
  clock.advance(30_000);
  limits.message('192.0.2.1');
  assert.throws(() => limits.message('192.0.2.1'), { code: 'rate-limited' });
  const leave = limits.enter('2001:db8::1');
  assert.throws(() => limits.enter('2001:db8:0:0:1:2:3:4'), { code: 'too-many-sessions' });
  limits.enter('2001:db8:0:1::1');
  leave();
  leave();
  limits.enter('2001:db8::2');
  assert.throws(() => limits.enter('2001:db8::3'), { code: 'too-many-sessions' });
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (await holds()) return;
    await sleep(10);
  }
  assert.fail('it never came true');
}
