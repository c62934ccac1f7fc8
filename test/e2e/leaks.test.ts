// What the gateway leaves on disk, in Redis, in logs and in traces while mail waits and after it went: no text of a mail, no address of
// an envelope, no private key.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { connectSmtp, startOtlpReceiver, startSmtpSink } from '@sealpost/testkit';
import { startInstallation } from './installation.ts';
import { mail, makePartner } from './partner.ts';

const secret = 'Zephyr-quokka-0815-marzipan';
const sender = 'zacharias.quill@alpha.test';
const plainRecipient = 'yolanda.vex@nowhere.test';

function filesBelow(directory: string): { name: string; bytes: Buffer }[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((name) => ({ name, bytes: readFileSync(name) }));
}

test('no file, log line or span holds a text, an address of an envelope or a private key', async () => {
  await using collector = await startOtlpReceiver();
  await using outside = await startSmtpSink({
    reply: ({ stage }) => (stage === 'mail' ? '451 4.7.1 Not yet' : undefined),
  });
  await using inside = await startSmtpSink();
  const partner = makePartner('leaks');
  const gateway = await startInstallation({
    internal: inside.port,
    external: outside.port,
    env: { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: collector.url },
  });
  try {
    const bob = partner.person('bob.xylander@partner.test');
    const own = partner.person(sender);
    await gateway.cli('import', '--cert', bob.certificate);
    await gateway.cli('import', '--cert', own.certificate, '--key', own.key);

    const client = await connectSmtp(gateway.ready.outbound);
    await client.greet();
    for (const to of [bob.address, plainRecipient]) {
      const message = mail({ From: sender, To: to, Subject: `about ${secret}` }, `${secret}\n`.repeat(3_000));
      assert.equal((await client.send({ from: sender, to: [to], message })).message?.code, 250);
    }
    const inbound = await connectSmtp(gateway.ready.inbound);
    await inbound.greet();
    const sealed = partner.protect(`Content-Type: text/plain\n\n${secret}\n`, {
      recipients: [own.certificate],
      headers: `From: ${bob.address}\r\nTo: ${sender}\r\nSubject: x\r\n`,
    });
    assert.equal((await inbound.send({ from: bob.address, to: [sender], message: sealed })).message?.code, 250);
    const [opened] = await inside.waitFor(1);
    assert.match(opened?.message.toString() ?? '', new RegExp(secret));
    await collector.waitFor((spans) => spans.some(({ name, failed }) => name === 'egress.deliver' && !failed));

    const places = [
      ...filesBelow(gateway.directory),
      ...collector.bodies.map((body, index) => ({ name: `span export ${index}`, bytes: Buffer.from(body) })),
    ];
    for (const part of ['redis', 'spool', 'log', 'keys']) {
      assert.ok(
        places.some(({ name, bytes }) => name.includes(`/${part}/`) && bytes.length > 0),
        `${part} was looked at`,
      );
    }
    assert.ok(collector.spans.length > 10);

    const privateKey = createPrivateKey(readFileSync(own.key));
    const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' });
    const { d = '', p = '' } = privateKey.export({ format: 'jwk' });
    const found = (what: string, needle: string | Buffer): void => {
      assert.deepEqual(
        places.filter(({ bytes }) => bytes.includes(needle)).map(({ name }) => name),
        [],
        what,
      );
    };
    const encodings = (text: string): (string | Buffer)[] => [
      text,
      Buffer.from(text).toString('hex'),
      Buffer.from(text).toString('base64').slice(0, -4),
    ];
    for (const needle of encodings(secret)) found('the text', needle);
    for (const address of [sender, plainRecipient, bob.address]) {
      for (const needle of encodings(address)) found('an address', needle);
    }
    found('a private key, PKCS#8', pkcs8.subarray(40, 200));
    found('a private key, base64', pkcs8.toString('base64').slice(100, 200));
    for (const number of [d, p]) {
      const bytes = Buffer.from(number, 'base64url');
      for (const needle of [bytes, bytes.toString('hex'), bytes.toString('base64').slice(0, 64)])
        found('a private number', needle);
    }
    found('an unencrypted private key', '-----BEGIN PRIVATE KEY-----');
    found('an unencrypted private key', '-----BEGIN RSA PRIVATE KEY-----');
  } finally {
    await gateway.stop();
    partner.close();
  }
});

test('the search itself finds what is there', () => {
  const partner = makePartner('leaks-control');
  try {
    writeFileSync(partner.file('planted'), `x${secret}x`);
    const listed = execFileSync('ls', [partner.file('.')], { encoding: 'utf8' });
    assert.match(listed, /planted/);
    assert.ok(filesBelow(partner.file('.')).some(({ bytes }) => bytes.includes(secret)));
  } finally {
    partner.close();
  }
});
