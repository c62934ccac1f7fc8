// A mail that came in by SMTP is in a real Redis and its blob store, sealed and ticketed, when 250 is said; where one of them is
// away the client keeps it.

import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectRedis, cryptoStage, openBlobs, type RedisLink } from '@sealpost/queue';
import { type RedisServer, startRedis, temporaryDirectory } from '@sealpost/testkit';
import { idIn, jobInRedis, mail, startGateway, type TestGateway } from './gateway.ts';

const secret = 'a-marker-that-must-not-be-found';
let server: RedisServer;
let link: RedisLink;
let gateway: TestGateway;
const directory = await temporaryDirectory();

before(async () => {
  server = await startRedis();
  link = await connectRedis({ host: server.host, port: server.port, acceptRisks: [] }, { event: () => undefined });
  const blobs = await openBlobs({ store: 'tiered', directory: directory.path, redisBelowBytes: 32_768 }, link);
  gateway = await startGateway({
    backing: { blobs, publisher: cryptoStage(link).publisher(), isReady: () => link.isReady() },
  });
});

after(async () => {
  await gateway[Symbol.asyncDispose]();
  await link.close();
  await server.stop();
  await directory.remove();
});

const blobs = () => openBlobs({ store: 'tiered', directory: directory.path, redisBelowBytes: 32_768 }, link);

test('a mail is durable, sealed and ticketed when 250 is said', async () => {
  await using client = await gateway.outbound();
  await client.greet();
  for (const body of [`${secret}\r\n`, `${secret}\r\n`.repeat(4_000)]) {
    const { message } = await client.send({
      from: 'alice@alpha.test',
      to: ['bob@beta.test'],
      message: mail(undefined, body),
    });
    const { envelope, ticket, ...queued } = await gateway.keys.open(
      await jobInRedis(link, idIn(message)),
      await blobs(),
    );
    assert.equal(queued.message, mail(undefined, body));
    assert.deepEqual(envelope, {
      mailFrom: 'alice@alpha.test',
      headerFrom: 'alice@alpha.test',
      recipients: [{ address: 'bob@beta.test' }],
      eightBit: false,
      smtpUtf8: false,
      salt: envelope.salt,
    });
    assert.match(envelope.salt, /^[A-Za-z0-9_-]{22}$/);
    assert.deepEqual([ticket.direction, ticket.source, ticket.tenant], ['outbound', 'alpha-mail', 'alpha']);
    assert.match(
      queued.received,
      /^Received: from source\.test \(\[127\.0\.0\.1\]\)\r\n\tby gateway\.test with ESMTP id m/,
    );
  }
});

test('an inbound mail belongs to the tenant of its recipients', async () => {
  await using client = await gateway.inbound();
  await client.greet();
  const { message } = await client.send({
    from: '',
    to: ['bob@beta.test', 'carol@BETA.test'],
    message: mail('x@y.test'),
  });
  const { envelope, ticket } = await gateway.keys.open(await jobInRedis(link, idIn(message)), await blobs());
  assert.deepEqual([ticket.direction, ticket.source, ticket.tenant], ['inbound', 'world', 'beta']);
  assert.deepEqual([envelope.mailFrom, envelope.headerFrom], ['', '']);
  assert.deepEqual(
    envelope.recipients.map(({ address }) => address),
    ['bob@beta.test', 'carol@BETA.test'],
  );
});

test('nothing of a message is readable in Redis or in the blob directory', async () => {
  const files = await Promise.all(
    [server.directory, directory.path].map(async (root) =>
      (await readdir(root, { recursive: true, withFileTypes: true }))
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name)),
    ),
  );
  const stored = Buffer.concat(await Promise.all(files.flat().map((file) => readFile(file))));
  assert.ok(stored.length > 100_000);
  for (const text of [secret, 'alice@alpha.test', 'bob@beta.test', 'Subject']) assert.ok(!stored.includes(text), text);
});

test('without a key or its service the client is asked to come again, and the process stays', async () => {
  await using client = await gateway.outbound();
  await client.greet();
  for (const code of ['key-service-unavailable', 'key-service-sealed'] as const) {
    gateway.keys.failWith(code);
    const { message } = await client.send({ from: 'a@alpha.test', to: ['bob@beta.test'], message: mail() });
    assert.match(message?.text ?? '', /^451 4\.3\.0 The key service/);
    assert.equal(await gateway.ingress.isReady(), false);
  }
  gateway.keys.failWith(undefined);
  assert.equal(await gateway.ingress.isReady(), true);
  idIn((await client.send({ from: 'a@alpha.test', to: ['bob@beta.test'], message: mail() })).message);
});

test('a full queue is 452 and leaves no blob', async () => {
  await link.client.config('SET', 'maxmemory', '1mb');
  await sleep(300);
  await using client = await gateway.outbound();
  await client.greet();
  const before = await link.client.dbsize();
  const { message } = await client.send({ from: 'a@alpha.test', to: ['bob@beta.test'], message: mail() });
  assert.match(message?.text ?? '', /^452 4\.3\.1 /);
  assert.equal(await link.client.dbsize(), before);
  await link.client.config('SET', 'maxmemory', '0');
  await sleep(300);
});

test('Redis killed: 451 and not ready; Redis back: mail flows in the same session', async () => {
  await using client = await gateway.outbound();
  await client.greet();
  const transaction = { from: 'a@alpha.test', to: ['bob@beta.test'], message: mail() };
  const kept = idIn((await client.send(transaction)).message);
  await server.kill();
  const { message } = await client.send(transaction);
  assert.match(message?.text ?? '', /^451 4\.3\.0 The (queue|message store) cannot be reached/);
  assert.equal(await gateway.ingress.isReady(), false);
  await server.start();
  while (!(await gateway.ingress.isReady())) await sleep(20);
  idIn((await client.send(transaction)).message);
  assert.equal((await gateway.keys.open(await jobInRedis(link, kept), await blobs())).job.id, kept);
});
