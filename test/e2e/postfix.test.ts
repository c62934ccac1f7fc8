// Sealpost inside a real Postfix, with the very configuration that docs/postfix.md tells operators to use: the blocks are read from
// the page and only their ports are changed.

import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { inspect, readHeaders } from '@sealpost/smime';
import { connectSmtp, freePort, type SmtpSink, startSmtpSink } from '@sealpost/testkit';
import { startInstallation, type TestInstallation } from './installation.ts';
import { mail, makePartner, type Partner, type Person } from './partner.ts';
import { type Postfix, postfixDirectory, postfixMissing, readMaildir, startPostfix } from './postfix.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/postfix.md'), 'utf8');
const skip = postfixMissing();
const alice = 'alice@alpha.test';
const dave = 'dave@alpha.test';
/** Small, so that a message that grows beyond it need not be large. */
const sizeLimit = 1_000_000;

let gateway: TestInstallation;
let postfix: Postfix;
let world: SmtpSink;
let partner: Partner;
let bob: Person;
let alphaCa: string;
let ports: Readonly<Record<'smtp' | 'submission' | 'back' | 'counter', number>>;

before(async () => {
  if (skip) return;
  world = await startSmtpSink({
    reply: ({ stage, address }) =>
      stage === 'rcpt' && address?.startsWith('nobody@') ? '550 5.1.1 No such person' : undefined,
  });
  ports = {
    smtp: await freePort(),
    submission: await freePort(),
    back: await freePort(),
    counter: await freePort(),
  };
  gateway = await startInstallation({ internal: ports.back, external: ports.back });
  postfix = await startPostfix(postfixDirectory(), {
    main: [
      tried('main.cf').replace(/message_size_limit = \d+/, `message_size_limit = ${sizeLimit}`),
      'myhostname = mail.alpha.test',
      'virtual_mailbox_domains = alpha.test',
      `virtual_mailbox_maps = inline:{ ${alice}=alice/, ${dave}=dave/ }`,
      // Instead of MX records, which a test on loopback has not.
      `transport_maps = inline:{ partner.test=smtp:[127.0.0.1]:${world.port}, counted.test=smtp:[127.0.0.1]:${ports.counter} }`,
      'virtual_transport = virtual',
    ].join('\n'),
    master: tried('master.cf')
      .replaceAll(':2526', `:${gateway.ready.inbound.port}`)
      .replaceAll(':2525', `:${gateway.ready.outbound.port}`)
      .replace(':10026', `:${ports.back}`)
      .replace(/^smtp +inet/m, `127.0.0.1:${ports.smtp} inet`)
      .replace(/^submission +inet/m, `127.0.0.1:${ports.submission} inet`)
      .replace(/message_size_limit=\d+/, `message_size_limit=${sizeLimit}`),
  });
  partner = makePartner('partner');
  bob = partner.person('bob@partner.test');
  await gateway.cli('identity', 'add', alice);
  await gateway.cli('import', '--cert', bob.certificate);
  await gateway.cli('trust', 'add', partner.ca);
  const { issuers } = (await gateway.cli('identity', 'show', alice)) as { issuers: string[][] };
  alphaCa = partner.file('alpha-ca.pem');
  writeFileSync(alphaCa, issuers.flatMap((chain) => chain.slice(-1)).join(''));
});

after(async () => {
  await postfix?.stop();
  await gateway?.stop();
  await world?.close();
  partner?.close();
});

/** A block of the page that stands below its mark. */
function tried(name: string): string {
  const block = new RegExp(`<!-- tried: ${name.replace('.', '\\.')} -->\n\`\`\`[a-z]*\n([\\s\\S]*?)\n\`\`\``).exec(
    page,
  )?.[1];
  assert.ok(block, `docs/postfix.md has a block ${name}`);
  return block;
}

async function nextInMaildir(name: string, act: () => unknown): Promise<Buffer> {
  const before = readMaildir(postfix.directory, name).length;
  await act();
  for (let waited = 0; waited < 20_000; waited += 50) {
    const last = readMaildir(postfix.directory, name)[before];
    if (last) return last;
    await sleep(50);
  }
  throw new Error(`nothing came for ${name}; Postfix says:\n${postfix.log()}`);
}

async function nextInWorld(act: () => unknown) {
  const count = world.transactions.length;
  await act();
  const last = (await world.waitFor(count + 1, 20_000))[count];
  assert.ok(last);
  return last;
}

async function hand(port: number, from: string, to: string, message: Buffer): Promise<void> {
  await using client = await connectSmtp({ host: '127.0.0.1', port });
  await client.greet('client.test');
  assert.equal((await client.send({ from, to: [to], message })).message?.code, 250);
}

const result = (message: Buffer): string =>
  readHeaders(message).find(({ name }) => name === 'x-sealpost-result')?.value ?? '';

test('mail given to sendmail leaves Postfix signed and encrypted', { skip }, async () => {
  const taken = await nextInWorld(() =>
    postfix.sendmail(alice, [bob.address], `Subject: offer\nTo: ${bob.address}\n\nA price.\n.\n..\n`),
  );
  assert.deepEqual(
    taken.recipients.map(({ address }) => address),
    [bob.address],
  );
  assert.equal(inspect(taken.message).protection, 'encrypted');
  const { content, signers } = partner.verify(partner.decrypt(taken.message, bob), alphaCa);
  assert.match(signers, /email:alice@alpha\.test/);
  assert.match(content.toString(), /A price\.\r\n\.\r\n\.\.\r\n/);
});

test('mail submitted by swaks is clear-signed for who has no certificate, and Postfix leaves it whole', {
  skip,
}, async () => {
  const body = 'Grüße\nFrom the start of a line\n trailing blank \n';
  const message = mail({ From: alice, To: 'carol@partner.test', 'Content-Type': 'text/plain; charset=utf-8' }, body);
  const file = partner.file('swaks.eml');
  writeFileSync(file, message);
  const server = `127.0.0.1:${ports.submission}`;
  const args = ['--server', server, '--from', alice, '--to', 'carol@partner.test', '--data', `@${file}`];
  const taken = await nextInWorld(() => promisify(execFile)('swaks', args));
  assert.equal(inspect(taken.message).protection, 'signed');
  assert.match(partner.verify(taken.message, alphaCa).signers, /email:alice@alpha\.test/);
});

test('mail from the world is decrypted and verified on its way to the mailbox', { skip }, async () => {
  const { pem } = (await gateway.cli('identity', 'show', alice)) as { pem: string[] };
  const recipients = pem.map((text, at) => {
    writeFileSync(partner.file(`alice${at}.pem`), text);
    return partner.file(`alice${at}.pem`);
  });
  const encrypting = recipients.filter((file) =>
    /Key Encipherment/.test(execFileSync('openssl', ['x509', '-in', file, '-noout', '-text'], { encoding: 'utf8' })),
  );
  const headers = `From: Bob <${bob.address}>\r\nTo: ${alice}\r\nSubject: reply\r\n`;
  const message = partner.protect('Content-Type: text/plain\n\nIt is agreed.\n', {
    signer: bob,
    recipients: encrypting,
    headers,
  });
  const got = await nextInMaildir('alice', () => hand(ports.smtp, bob.address, alice, message));
  assert.match(got.toString(), /It is agreed\./);
  assert.match(result(got), /\bverified\b/);
});

test('mail between two people of the organisation arrives readable', { skip }, async () => {
  await gateway.cli('identity', 'add', dave);
  const message = mail({ From: alice, To: dave, Subject: 'lunch' }, 'At noon.\n');
  const got = await nextInMaildir('dave', () => hand(ports.submission, alice, dave, message));
  assert.equal(inspect(got).protection, 'signed');
  assert.match(got.toString(), /At noon\./);
});

test('what the far server refuses is reported by Postfix', { skip }, async () => {
  const message = mail({ From: alice, To: 'nobody@partner.test', Subject: 'x' }, 'Anybody there?\n');
  const report = await nextInMaildir('alice', () => hand(ports.submission, alice, 'nobody@partner.test', message));
  assert.match(report.toString(), /^Return-Path: <>/);
  assert.match(report.toString(), /Final-Recipient: rfc822; nobody@partner\.test[\s\S]*Status: 5\.1\.1/);
  assert.equal(result(report), '', 'it did not pass the filter again');
});

test('what Postfix does not take back is reported by Sealpost, through Postfix', { skip }, async () => {
  const body = `${'0123456789'.repeat(7)}\n`.repeat(Math.floor((sizeLimit * 0.9) / 72));
  const message = mail({ From: alice, To: bob.address, Subject: 'large', 'Message-ID': '<large@alpha.test>' }, body);
  const report = await nextInMaildir('alice', () => hand(ports.submission, alice, bob.address, message));
  const text = report.toString();
  assert.match(text, /^Return-Path: <>/);
  assert.match(text, /multipart\/report/);
  assert.match(text, /Reporting-MTA: dns; gateway\.alpha\.test/i);
  assert.match(text, /Final-Recipient: rfc822; bob@partner\.test/i);
  assert.match(text, /Status: 5\.3\.4|Status: 5\.2\.3/);
  assert.doesNotMatch(text, /0123456789/, 'the body stays out of it');
});

test('what Sealpost refuses goes back to the sender', { skip }, async () => {
  const message = mail({ From: 'ceo@foreign.test', To: bob.address, Subject: 'x' }, 'Pay this.\n');
  const report = await nextInMaildir('alice', () => hand(ports.submission, alice, bob.address, message));
  assert.match(report.toString(), /Diagnostic-Code: smtp; 5[0-9][0-9] 5\.7\./);
});

test('smtp-source through Postfix and Sealpost to smtp-sink: every message arrives', { skip }, async () => {
  // Ends by itself after the last of them.
  const sink = spawn('/usr/sbin/smtp-sink', ['-u', 'nobody', '-M', '60', `127.0.0.1:${ports.counter}`, '100'], {
    stdio: 'ignore',
  });
  const done = once(sink, 'exit', { signal: AbortSignal.timeout(40_000) });
  try {
    const source = ['-s', '5', '-m', '60', '-l', '5000', '-d', '-f', alice, '-t', 'many@counted.test'];
    await promisify(execFile)('/usr/sbin/smtp-source', [...source, `127.0.0.1:${ports.submission}`]);
    assert.deepEqual(await done, [0, null]);
  } finally {
    sink.kill();
  }
});

test('nothing was set aside on the way', { skip }, async () => {
  assert.deepEqual(await gateway.cli('queue', 'list'), []);
});
