// The SMTP sink and source against each other: what tests of the gateway rest on must itself be true.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  connectSmtp,
  makeTlsFiles,
  type SinkOptions,
  startFlakyProxy,
  startSmtpSink,
  temporaryDirectory,
} from '../src/index.ts';

const mail = { from: 'a@alpha.test', to: ['b@beta.test'], message: 'Subject: x\r\n\r\n.dot\r\n..two\r\nend\r\n' };

async function meet(options: SinkOptions = {}) {
  const sink = await startSmtpSink(options);
  const source = await connectSmtp(sink);
  return {
    sink,
    source,
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]();
      await sink.close();
    },
  };
}

test('the sink keeps a message byte for byte, with its envelope and parameters', async () => {
  await using peers = await meet();
  await peers.source.greet('client.test');
  await peers.source.send({ ...mail, parameters: 'BODY=8BITMIME RET=HDRS' });
  const [transaction] = await peers.sink.waitFor(1);
  assert.equal(transaction?.message.toString(), mail.message);
  assert.deepEqual(
    [transaction?.client, transaction?.mailFrom, transaction?.parameters, transaction?.recipients],
    ['client.test', 'a@alpha.test', ['BODY=8BITMIME', 'RET=HDRS'], [{ address: 'b@beta.test', parameters: [] }]],
  );
});

test('an empty message and one of a single dot keep their bytes', async () => {
  await using peers = await meet();
  await peers.source.greet();
  await peers.source.send({ ...mail, message: '' });
  await peers.source.send({ ...mail, message: '.\r\n' });
  const [empty, dot] = await peers.sink.waitFor(2);
  assert.equal(empty?.message.length, 0);
  assert.equal(dot?.message.toString(), '.\r\n');
});

test('a message split at every byte boundary arrives the same', async () => {
  await using peers = await meet();
  await peers.source.greet();
  await peers.source.command('MAIL FROM:<a@alpha.test>');
  await peers.source.command('RCPT TO:<b@beta.test>');
  await peers.source.command('DATA');
  const bytes = 'A: b\r\n\r\n..x\r\n.\r\n';
  await peers.source.writeSplit(
    bytes,
    [...Array(bytes.length - 1).keys()].map((at) => at + 1),
  );
  assert.equal((await peers.source.reply()).code, 250);
  assert.equal(peers.sink.transactions[0]?.message.toString(), 'A: b\r\n\r\n.x\r\n');
});

test('ten megabytes arrive whole and soon', async () => {
  await using peers = await meet();
  await peers.source.greet();
  const message = Buffer.alloc(10 * 1024 * 1024, 'x'.repeat(70).concat('\r\n'));
  message.write('\r\n', message.length - 2);
  const started = performance.now();
  await peers.source.send({ ...mail, message });
  assert.ok(peers.sink.transactions[0]?.message.equals(message));
  assert.ok(performance.now() - started < 5_000);
});

test('recipients are refused one by one and the rest gets the mail', async () => {
  await using peers = await meet({
    reply: ({ stage, address }) => {
      if (stage !== 'rcpt') return undefined;
      if (address === 'no@beta.test') return '550 5.1.1 Unknown';
      return address === 'later@beta.test' ? '450 4.2.0 Later' : undefined;
    },
  });
  await peers.source.greet();
  const replies = await peers.source.send({ ...mail, to: ['b@beta.test', 'no@beta.test', 'later@beta.test'] });
  assert.deepEqual(
    replies.rcpt.map(({ code }) => code),
    [250, 550, 450],
  );
  assert.deepEqual(
    peers.sink.transactions[0]?.recipients.map(({ address }) => address),
    ['b@beta.test'],
  );
});

test('a refusal after the final dot is no transaction', async () => {
  await using peers = await meet({ reply: ({ stage }) => (stage === 'message' ? '451 4.3.0 Not now' : undefined) });
  await peers.source.greet();
  assert.equal((await peers.source.send(mail)).message?.code, 451);
  assert.equal(peers.sink.transactions.length, 0);
});

test('the connection can be dropped after the final dot, and raw bytes sent for a reply', async () => {
  await using peers = await meet({
    reply: ({ stage, session }) => {
      if (session === 1 && stage === 'message') return 'drop';
      return session === 2 && stage === 'mail' ? Buffer.from('250-a\r\n250 b\r\n') : undefined;
    },
  });
  await peers.source.greet();
  await assert.rejects(peers.source.send(mail));
  await peers.source.closed;
  await using second = await connectSmtp(peers.sink);
  await second.greet();
  assert.deepEqual((await second.command('MAIL FROM:<>')).lines, ['a', 'b']);
});

test('STARTTLS: with the certificate checked, and the mail marked as secure', async () => {
  await using directory = await temporaryDirectory();
  const files = await makeTlsFiles(directory.path, { names: ['sink.test'], passphrase: 'secret' });
  assert.match(files.key, /BEGIN ENCRYPTED PRIVATE KEY/);
  const plain = await makeTlsFiles(directory.path, { names: ['sink.test'], prefix: 'plain' });
  await using peers = await meet({ tls: plain });
  assert.ok((await peers.source.greet()).lines.includes('STARTTLS'));
  await peers.source.startTls({ ca: plain.ca, servername: 'sink.test', rejectUnauthorized: true });
  assert.ok(!(await peers.source.command('EHLO x')).lines.includes('STARTTLS'));
  await peers.source.send(mail);
  assert.equal(peers.sink.transactions[0]?.isSecure, true);

  await using stranger = await connectSmtp(peers.sink);
  await stranger.greet();
  await assert.rejects(stranger.startTls({ ca: files.ca, servername: 'sink.test', rejectUnauthorized: true }));
});

test('the proxy cuts once when told bytes pass, before or after they are delivered', async () => {
  for (const deliver of [true, false]) {
    await using sink = await startSmtpSink();
    await using proxy = await startFlakyProxy(sink);
    proxy.cutOnce({ from: 'client', bytes: '\r\n.\r\n', deliver });
    await using first = await connectSmtp(proxy);
    await first.greet();
    await assert.rejects(first.send(mail));
    await using second = await connectSmtp(proxy);
    await second.greet();
    assert.equal((await second.send(mail)).message?.code, 250);
    assert.equal((await sink.waitFor(deliver ? 2 : 1)).length, deliver ? 2 : 1);
  }
});

test('the proxy refuses, and stalls until it is told to pass', async () => {
  await using sink = await startSmtpSink();
  await using proxy = await startFlakyProxy(sink);
  proxy.setMode('refuse');
  await using refused = await connectSmtp(proxy).catch(() => undefined);
  if (refused) await assert.rejects(refused.reply());
  proxy.setMode('stall');
  await using source = await connectSmtp(proxy);
  const greeting = source.reply();
  const first = await Promise.race([
    greeting.then(() => 'reply'),
    new Promise((done) => setTimeout(done, 100, 'silence')),
  ]);
  assert.equal(first, 'silence');
  proxy.setMode('pass');
  assert.equal((await greeting).code, 220);
});
