// STARTTLS (RFC 3207): demanded before MAIL, nothing said in clear counts after it, TLS 1.2 at least, and clients known by certificate.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { makeTlsFiles, type SmtpSource, temporaryDirectory } from '@sealpost/testkit';
import { alpha, idIn, mail, memoryQueue, startGateway } from './gateway.ts';

const directory = await temporaryDirectory();
const files = await makeTlsFiles(directory.path, { passphrase: 'a passphrase' });
const friend = await makeTlsFiles(directory.path, { prefix: 'friend' });
const other = await makeTlsFiles(directory.path, { prefix: 'other' });
const fingerprint = new X509Certificate(friend.cert).fingerprint256.replaceAll(':', '').toLowerCase();

const queue = memoryQueue();
const gateway = await startGateway({
  backing: queue,
  tls: {
    certificateFile: files.certificateFile,
    keyFile: files.keyFile,
    passphraseFile: files.passphraseFile,
  },
  outbound: {
    startTls: 'required',
    sources: [
      alpha,
      { name: 'by-certificate', tenant: 'beta', clientCertificates: [fingerprint], domains: ['beta.test'] },
    ],
  },
  inbound: { startTls: 'offered' },
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await directory.remove();
});

const transaction = { from: 'alice@alpha.test', to: ['bob@beta.test'], message: mail() };

test('outbound demands TLS, inbound takes mail without', async () => {
  await using outbound = await gateway.outbound();
  assert.ok((await outbound.greet()).lines.includes('STARTTLS'));
  assert.match((await outbound.command('MAIL FROM:<a@alpha.test>')).text, /^530 5\.7\.0 /);
  await outbound.startTls({ ca: friend.ca });
  assert.equal((await outbound.command('MAIL FROM:<a@alpha.test>')).code, 503, 'EHLO is forgotten');
  assert.ok(!(await outbound.command('EHLO again.test')).lines.includes('STARTTLS'));
  const { message } = await outbound.send(transaction);
  const job = queue.jobs.find(({ id }) => id === idIn(message));
  assert.ok(job);
  const { received } = await gateway.keys.open(job, queue.blobs);
  assert.match(received, /from again\.test .* with ESMTPS id m[0-9a-f]+\r\n\t\(TLSv1\.3 TLS_AES/s);

  await using inbound = await gateway.inbound();
  await inbound.greet();
  idIn((await inbound.send({ ...transaction, from: '' })).message);
});

test('what is pipelined after STARTTLS in clear is never obeyed', async () => {
  const socket = connectTcp(gateway.ingress.inbound.port, '127.0.0.1');
  const [greeting] = await once(socket, 'data');
  assert.match(String(greeting), /^220 /);
  socket.write('EHLO evil.test\r\n');
  await once(socket, 'data');
  socket.write(`STARTTLS\r\nEHLO evil.test\r\nMAIL FROM:<eve@evil.test>\r\n${'NOOP\r\n'.repeat(300)}`);
  const [go] = await once(socket, 'data');
  assert.match(String(go), /^220 2\.0\.0 Ready|^220 /);
  const secure = connectTls({ socket, rejectUnauthorized: false });
  await once(secure, 'secureConnect');
  secure.write('RCPT TO:<bob@beta.test>\r\n');
  const [reply] = await once(secure, 'data');
  assert.match(String(reply), /^503 .*HELO\/EHLO first\r\n$/);
  secure.write('EHLO good.test\r\nRCPT TO:<bob@beta.test>\r\n');
  let text = '';
  while (!/^503 /m.test(text)) text += String((await once(secure, 'data'))[0]);
  assert.match(text, /^503 .*need MAIL command\r\n$/m);
  assert.doesNotMatch(text, /250 2\.1\.0/);
  secure.destroy();
});

test('TLS 1.1 gets no session, and the next client is served', async () => {
  await using old = await gateway.inbound();
  await old.greet();
  await assert.rejects(old.startTls({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }));
  await using broken = await gateway.inbound();
  await broken.greet();
  await broken.command('STARTTLS');
  await broken.write('this is no handshake\r\n');
  await broken.closed;
  await using client = await gateway.inbound();
  await client.greet();
  await client.startTls({ maxVersion: 'TLSv1.2' });
  await client.command('EHLO x.test');
  idIn((await client.send({ ...transaction, from: '' })).message);
});

test('handshakes are counted: by version, or by why they failed', async () => {
  const counted = (result: string) => gateway.counted('sealpost_tls_handshakes_total', 'inbound', result);
  const before = ['TLSv1.3', 'TLSv1.2', 'certificate', 'protocol', 'cut'].map(counted);
  const opened = async (): Promise<SmtpSource> => {
    const client = await gateway.inbound();
    await client.greet();
    return client;
  };
  await using modern = await opened();
  await modern.startTls({});
  await using older = await opened();
  await older.startTls({ maxVersion: 'TLSv1.2' });
  await using old = await opened();
  await assert.rejects(old.startTls({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }));
  // Node's own client ends such a session without the alert that others send.
  const wary = [
    's_client',
    '-starttls',
    'smtp',
    '-verify_return_error',
    '-connect',
    `127.0.0.1:${gateway.ingress.inbound.port}`,
  ];
  await assert.rejects(promisify(execFile)('openssl', wary));
  await using gone = await opened();
  await gone.command('STARTTLS');
  gone.reset();
  const after = () => ['TLSv1.3', 'TLSv1.2', 'certificate', 'protocol', 'cut'].map(counted);
  const expected = before.map((count) => count + 1);
  for (let tries = 0; tries < 100 && after().some((count, at) => count !== expected[at]); tries++) await sleep(20);
  assert.deepEqual(after(), expected);
});

test('a source is known by its client certificate, from anywhere, and by no other', async () => {
  const send = async (identity: object) => {
    await using client = await gateway.outbound('127.0.0.9');
    await client.greet();
    await client.startTls(identity);
    await client.command('EHLO x.test');
    const { mail: reply, message } = await client.send({
      from: 'bob@beta.test',
      to: ['x@elsewhere.test'],
      message: mail('bob@beta.test'),
    });
    return (message ?? reply).text;
  };
  const accepted = await send({ cert: friend.cert, key: friend.key });
  const job = queue.jobs.find(({ id }) => accepted.endsWith(id));
  assert.equal(job?.tenant, 'beta', accepted);
  assert.match(await send({ cert: other.cert, key: other.key }), /^550 5\.7\.1 The client certificate/);
  assert.match(await send({}), /^550 5\.7\.1 This host/);
});

test('a client that resumes its TLS session is still known by its certificate', async () => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    let ticket: Buffer | undefined;
    for (const resumes of [false, true]) {
      const socket = connectTcp({ port: gateway.ingress.outbound.port, host: '127.0.0.1', localAddress: '127.0.0.9' });
      await once(socket, 'data');
      socket.write('EHLO x.test\r\n');
      await once(socket, 'data');
      socket.write('STARTTLS\r\n');
      await once(socket, 'data');
      const secure = connectTls({
        socket,
        rejectUnauthorized: false,
        maxVersion,
        cert: friend.cert,
        key: friend.key,
        ...(ticket ? { session: ticket } : {}),
      });
      secure.on('session', (session: Buffer) => {
        ticket = session;
      });
      await once(secure, 'secureConnect');
      assert.equal(secure.isSessionReused(), resumes, maxVersion);
      assert.match(await ask(secure, 'EHLO x.test'), /^250 /m);
      assert.match(await ask(secure, 'MAIL FROM:<bob@beta.test>'), /^250 2\.1\.0 /, maxVersion);
      secure.destroy();
    }
  }
});

async function ask(socket: TLSSocket, line: string): Promise<string> {
  socket.write(`${line}\r\n`);
  return String((await once(socket, 'data'))[0]);
}
