// The gateway between real peers: swaks hands mail in, a sink takes it, OpenSSL and gpgsm make and check what is protected.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { inspect, readHeaders } from '@sealpost/smime';
import { connectSmtp, type SmtpSink, startSmtpSink } from '@sealpost/testkit';
import { startInstallation, type TestInstallation } from './installation.ts';
import { mail, makePartner, type Partner, type Person } from './partner.ts';

const alice = 'alice@alpha.test';
let gateway: TestInstallation;
let inside: SmtpSink;
let outside: SmtpSink;
let partner: Partner;
let bob: Person;
let alphaCa: string;
let aliceCertificates: string[];

before(async () => {
  [inside, outside] = [await startSmtpSink(), await startSmtpSink()];
  gateway = await startInstallation({ internal: inside.port, external: outside.port });
  partner = makePartner('partner');
  bob = partner.person('bob@partner.test');
  await gateway.cli('identity', 'add', alice, '--name', 'Alice');
  await gateway.cli('import', '--cert', bob.certificate);
  await gateway.cli('trust', 'add', partner.ca);
  const shown = (await gateway.cli('identity', 'show', alice)) as { pem: string[]; issuers: string[][] };
  aliceCertificates = shown.pem;
  alphaCa = partner.file('alpha-ca.pem');
  writeFileSync(alphaCa, shown.issuers.flatMap((chain) => chain.slice(-1)).join(''));
});

after(async () => {
  await gateway?.stop();
  await Promise.all([inside?.close(), outside?.close()]);
  partner?.close();
});

/** Sends with swaks over STARTTLS; returns its transcript. */
function swaks(port: number, from: string, to: readonly string[], message: Buffer): string {
  const file = partner.file('swaks.eml');
  writeFileSync(file, message);
  return execFileSync(
    'swaks',
    [
      '--server',
      `127.0.0.1:${port}`,
      '--tls',
      '--from',
      from,
      '--to',
      to.join(','),
      '--data',
      `@${file}`,
      '--helo',
      'swaks.test',
    ],
    { encoding: 'utf8' },
  );
}

async function nextAt(sink: SmtpSink, send: () => unknown) {
  const count = sink.transactions.length;
  await send();
  const transactions = await sink.waitFor(count + 1);
  const last = transactions[count];
  assert.ok(last);
  return last;
}

const result = (message: Buffer): string =>
  readHeaders(message).find(({ name }) => name === 'x-sealpost-result')?.value ?? '';

test('outbound: signed and encrypted mail is decrypted and verified by OpenSSL', async () => {
  const body = 'Grüße, Bob.\nA line.\n.a dot\n';
  const message = mail(
    {
      From: `Alice <${alice}>`,
      To: `<${bob.address}>`,
      Subject: 'offer',
      'MIME-Version': '1.0',
      'Content-Type': 'text/plain; charset=utf-8',
      'Content-Transfer-Encoding': '8bit',
      'Message-ID': '<1@alpha.test>',
    },
    body,
  );
  const taken = await nextAt(outside, () => swaks(gateway.ready.outbound.port, alice, [bob.address], message));
  assert.equal(inspect(taken.message).protection, 'encrypted');
  assert.doesNotMatch(taken.message.toString('latin1'), /[^\r]\n|A line/);
  const names = readHeaders(taken.message).map(({ name }) => name);
  for (const name of ['from', 'to', 'subject', 'message-id', 'received', 'x-sealpost-loop'])
    assert.ok(names.includes(name), name);

  const { content, signers } = partner.verify(partner.decrypt(taken.message, bob), alphaCa);
  assert.match(signers, /email:alice@alpha\.test/);
  assert.match(content.toString(), /Content-Type: text\/plain; charset=utf-8/);
  const decoded = decodeBody(content);
  assert.equal(decoded.replaceAll('\r\n', '\n').trimEnd(), body.trimEnd());
});

test('outbound: a recipient without certificate gets the mail clear-signed', async () => {
  const message = mail({ From: alice, To: 'carol@nowhere.test', Subject: 'x' }, 'Hello Carol\n');
  const taken = await nextAt(outside, () => swaks(gateway.ready.outbound.port, alice, ['carol@nowhere.test'], message));
  assert.equal(inspect(taken.message).protection, 'signed');
  assert.match(partner.verify(taken.message, alphaCa).content.toString(), /Hello Carol/);
});

test('outbound: Bcc recipients get a ciphertext of their own', async () => {
  const eve = partner.person('eve@partner.test');
  await gateway.cli('import', '--cert', eve.certificate);
  const count = outside.transactions.length;
  const message = mail({ From: alice, To: bob.address, Subject: 'x' }, 'Hello\n');
  swaks(gateway.ready.outbound.port, alice, [bob.address, eve.address], message);
  const taken = (await outside.waitFor(count + 2)).slice(count);
  assert.deepEqual(taken.map(({ recipients }) => recipients.map(({ address }) => address)).sort(), [
    [bob.address],
    [eve.address],
  ]);
  for (const { recipients, message: sealed } of taken) {
    const [reader, other] = recipients[0]?.address === bob.address ? [bob, eve] : [eve, bob];
    assert.match(partner.decrypt(sealed, reader).toString(), /multipart\/signed/);
    assert.throws(() => partner.decrypt(sealed, other));
  }
});

test("inbound: OpenSSL's signed and encrypted mail arrives decrypted, verified, with footer and result", async () => {
  const certificates = aliceCertificates.map((pem, index) => {
    const file = partner.file(`alice${index}.pem`);
    writeFileSync(file, pem);
    return file;
  });
  const encrypting = certificates.filter((file) =>
    /Key Encipherment/.test(execFileSync('openssl', ['x509', '-in', file, '-noout', '-text'], { encoding: 'utf8' })),
  );
  assert.ok(encrypting.length > 0);
  const message = partner.protect('Content-Type: text/plain; charset=utf-8\n\nHello Alice\n', {
    signer: bob,
    recipients: encrypting.slice(0, 1),
    headers: `From: Bob <${bob.address}>\r\nTo: ${alice}\r\nSubject: reply\r\nX-Sealpost-Result: forged; verified\r\n`,
  });
  const taken = await nextAt(inside, () => swaks(gateway.ready.inbound.port, bob.address, [alice], message));
  const text = taken.message.toString();
  assert.match(text, /Hello Alice/);
  assert.match(text, /signature was verified by the mail gateway/);
  assert.match(result(taken.message), /\bverified\b/);
  assert.doesNotMatch(text, /forged/);
  assert.doesNotMatch(text, /pkcs7/);
});

test('inbound: gpgsm opens nothing of ours, but what it makes is opened', async () => {
  const home = mkdtempSync(join(tmpdir(), 'sealpost-gpgsm-'));
  try {
    const env = { ...process.env, GNUPGHOME: home };
    const gpgsm = (args: string[], input?: Buffer): Buffer =>
      execFileSync('gpgsm', ['--batch', '--disable-crl-checks', '--disable-policy-checks', ...args], {
        env,
        input,
        stdio: ['pipe', 'pipe', 'pipe'],
      });
    const fingerprint =
      /([0-9A-F:]{59})/.exec(
        execFileSync('openssl', ['x509', '-in', alphaCa, '-noout', '-fingerprint', '-sha1'], { encoding: 'utf8' }),
      )?.[1] ?? '';
    writeFileSync(join(home, 'trustlist.txt'), `${fingerprint} S relax\n`);
    gpgsm(['--import', alphaCa]);
    gpgsm(['--import'], Buffer.from(aliceCertificates.join('')));
    const sealed = gpgsm(
      ['--encrypt', '--base64', '--recipient', alice],
      Buffer.from('Content-Type: text/plain\r\n\r\nfrom gpgsm\r\n'),
    );
    const base64 = sealed
      .toString()
      .replace(/-----[^-]+-----/g, '')
      .trim()
      .replace(/\r?\n/g, '\r\n');
    const headers = {
      From: bob.address,
      To: alice,
      Subject: 'x',
      'MIME-Version': '1.0',
      'Content-Type': 'application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m',
      'Content-Transfer-Encoding': 'base64',
    };
    const taken = await nextAt(inside, () =>
      swaks(gateway.ready.inbound.port, bob.address, [alice], mail(headers, `${base64}\r\n`)),
    );
    assert.match(taken.message.toString(), /from gpgsm/);
    assert.match(taken.message.toString(), /was not signed/);
    assert.doesNotMatch(result(taken.message), /\bverified\b/);
  } finally {
    execFileSync('gpgconf', ['--kill', 'all'], { env: { ...process.env, GNUPGHOME: home } });
    rmSync(home, { recursive: true, force: true });
  }
});

test('inbound: mail that is not S/MIME arrives identical below our trace lines', async () => {
  const message = mail(
    { From: bob.address, To: alice, Subject: ' odd   spacing', 'X-Odd': '\tfolded\r\n  here' },
    'plain\r\n\r\n.dots\r\n..\r\ntrailing  \r\n',
  );
  const taken = await nextAt(inside, async () => {
    const client = await connectSmtp(gateway.ready.inbound);
    await client.greet();
    assert.equal((await client.send({ from: bob.address, to: [alice], message })).message?.code, 250);
    client.end();
  });
  assert.ok(taken.message.subarray(-message.length).equals(message));
  const added = taken.message.subarray(0, -message.length).toString();
  assert.match(added, /^X-Sealpost-Loop: .*\r\nReceived: from .*(\r\n[\t ].*)*\r\n$/);
});

function decodeBody(entity: Buffer): string {
  const text = entity.toString('latin1').replace(/\r?\n/g, '\n');
  const split = text.indexOf('\n\n');
  const [head, body] = [text.slice(0, split), text.slice(split + 2)];
  if (/base64/i.test(head)) return Buffer.from(body, 'base64').toString();
  const bytes = /quoted-printable/i.test(head)
    ? body
        .replace(/=\n/g, '')
        .replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    : body;
  return Buffer.from(bytes, 'latin1').toString();
}
