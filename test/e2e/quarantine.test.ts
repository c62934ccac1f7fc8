// What an operator does at the command line: looks at the queue, retries and releases what was set aside, asks why, checks a
// configuration, brings in keys and certificates. What they typed wrong is answered with a sentence and never with a stack.

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { QuarantineEntry, StageStatus } from '@sealpost/core';
import { inspect } from '@sealpost/smime';
import { connectSmtp, type SmtpSink, startSmtpSink } from '@sealpost/testkit';
import { startInstallation, type TestInstallation } from './installation.ts';
import { type Aside, logged, reconfigure, until, watchQuarantine } from './operating.ts';
import { mail, makePartner, type Partner, type Person } from './partner.ts';

const command = join(import.meta.dirname, '../../apps/cli/src/main.ts');
const alice = 'alice@alpha.test';
const carol = 'carol@nowhere.test';

let gateway: TestInstallation;
let inside: SmtpSink;
let outside: SmtpSink;
let partner: Partner;
let bob: Person;
let aside: Aside;

before(async () => {
  [inside, outside] = [await startSmtpSink(), await startSmtpSink()];
  gateway = await startInstallation({ internal: inside.port, external: outside.port });
  partner = makePartner('partner');
  bob = partner.person('bob@partner.test');
  await reconfigure(
    gateway,
    ({ tenants, ...rest }) => ({
      ...rest,
      tenants: tenants.map((tenant) => ({
        ...tenant,
        policy: { ...tenant.policy, outbound: { ...tenant.policy.outbound, withoutCertificate: 'bounce' } },
      })),
    }),
    'worker',
  );
  aside = await watchQuarantine(gateway);
});

after(async () => {
  await aside?.[Symbol.asyncDispose]();
  await gateway?.stop();
  await Promise.all([inside?.close(), outside?.close()]);
  partner?.close();
});

interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command as it is typed. */
function run(...words: readonly string[]): Promise<Said> {
  return new Promise((resolve) => {
    execFile(process.execPath, [command, ...words], (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}

const sealpost = (...words: readonly string[]): Promise<Said> => run(...words, '--dir', gateway.directory);

async function done(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await sealpost(...words);
  assert.equal(code, 0, stderr);
  return stdout;
}

/** It fails with one sentence on standard error. */
async function refused(sentence: RegExp, ...words: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await sealpost(...words);
  assert.deepEqual([code, stdout], [1, ''], stderr);
  assert.match(stderr, sentence);
  assert.match(stderr, /^sealpost: [^\n]+\n$/, 'one line');
}

async function handIn(from: string, to: readonly string[], message: Buffer): Promise<string> {
  await using client = await connectSmtp(gateway.ready.outbound);
  await client.greet();
  const { message: reply } = await client.send({ from, to, message });
  const id = /queued as (\S+)/.exec(reply?.text ?? '')?.[1];
  assert.ok(id, reply?.text ?? 'no reply');
  return id;
}

const at = (address: string) =>
  outside.transactions.filter(({ recipients }) => recipients.some((each) => each.address === address));

test('identity, import, trust: keys and certificates come in, and are listed', async () => {
  const added = await done('identity', 'add', alice, '--name', 'Alice Ford', '--algorithm', 'p-256');
  assert.match(added, /^address +tenant +use +algorithm +valid until +SHA-256\nalice@alpha\.test +alpha-test +signing/);
  const dora = partner.person('dora@alpha.test');
  const [p12, password] = [partner.file('dora.p12'), partner.file('dora.pass')];
  writeFileSync(password, 'correct horse\n');
  const pack = ['pkcs12', '-export', '-in', dora.certificate, '-inkey', dora.key, '-certfile', partner.ca];
  execFileSync('openssl', [...pack, '-out', p12, '-passout', `file:${password}`]);
  const wrong = partner.file('wrong.pass');
  writeFileSync(wrong, 'wrong');
  await refused(/The password does not open the file/, 'import', '--p12', p12, '--password-file', wrong);
  const imported = await done('import', '--p12', p12, '--password-file', password);
  assert.match(imported, /dora@alpha\.test +alpha-test +signing .*\ndora@alpha\.test +alpha-test +decryption/);
  await done('import', '--cert', bob.certificate);
  await done('trust', 'add', partner.ca);
  assert.match(await done('trust', 'list'), /alpha-test +CN=partner CA +no/);
  const people = JSON.parse(await done('identity', 'list', '--json')) as { address: string }[];
  assert.deepEqual(
    people.map(({ address }) => address),
    [alice, bob.address, dora.address].sort(),
  );
  const shown = await done('identity', 'show', alice);
  assert.equal(shown.match(/BEGIN CERTIFICATE/g)?.length, 2);
  assert.doesNotMatch(shown, /PRIVATE/);
});

test('identity, import, trust: what cannot be done is said in a sentence', async () => {
  const [junk, lone] = [partner.file('junk'), partner.file('lone.key')];
  writeFileSync(junk, 'junk');
  writeFileSync(lone, readFileSync(bob.key));
  await Promise.all([
    refused(/This address has keys already/, 'identity', 'add', alice),
    refused(/The address belongs to no domain of the tenant/, 'identity', 'add', 'x@nowhere.test'),
    refused(/There is no such thing here/, 'identity', 'show', 'nobody@alpha.test'),
    refused(/does not have the form/, 'identity', 'add', 'no address'),
    refused(/The file is not a PKCS#12 or PEM file/, 'import', '--cert', junk),
  ]);
  await Promise.all([
    refused(/do not belong together/, 'import', '--cert', partner.ca, '--key', lone),
    refused(/cannot read .*missing/, 'import', '--cert', partner.file('missing')),
    refused(/name the file with --cert FILE or --p12 FILE/, 'import'),
    refused(/is not one of a certification authority/, 'trust', 'add', bob.certificate),
    refused(/cannot read .*missing/, 'trust', 'add', partner.file('missing')),
    refused(/cannot read .*missing/, 'import', '--cert', bob.certificate, '--password-file', partner.file('missing')),
  ]);
  const nowhere = await run('identity', 'list', '--dir', partner.file('none'));
  assert.equal(nowhere.code, 1);
  assert.match(nowhere.stderr, /there is no installation at .*; start one with/);
});

test('queue: what was set aside is listed, shown, tried again, and goes unprotected only when an operator releases it', async () => {
  const message = mail({ From: alice, To: carol, Subject: 'x' }, 'Nothing secret\n');
  const id = await handIn('', [carol], message);
  const { since } = await aside.entry(id);

  const stages = JSON.parse(await done('queue', 'status', '--json')) as StageStatus[];
  assert.deepEqual(
    stages.map(({ stage, waiting, active, delayed, failed }) => [stage, waiting + active + delayed, failed]),
    [
      ['crypto', 0, 1],
      ['delivery', 0, 0],
    ],
  );
  assert.match(await done('queue', 'status'), /^stage +waiting +active +delayed +failed +oldest\ncrypto /);
  const [entry] = JSON.parse(await done('queue', 'list', '--json')) as QuarantineEntry[];
  assert.deepEqual([entry?.id, entry?.code, entry?.tenant], [id, 'unprotected-null-sender', 'alpha-test']);
  const shown = await done('queue', 'show', id);
  assert.match(shown, /unprotected-null-sender/);
  assert.doesNotMatch(shown, /carol|secret/);

  await done('queue', 'retry', id);
  await until('it is set aside again', async () => (await aside.entry(id)).since > since || undefined);
  assert.deepEqual(at(carol), []);

  assert.match(await done('queue', 'release', id), new RegExp(`^${id} is back`));
  const sent = await until('it is delivered', () => at(carol)[0]);
  assert.equal(inspect(sent.message).protection, 'none');
  assert.ok(sent.message.subarray(-message.length).equals(message));
  assert.equal(sent.mailFrom, '');
  assert.ok(logged(gateway).some(({ event, message: about }) => event === 'message.released' && about === id));
  assert.deepEqual(JSON.parse(await done('queue', 'list', '--json')), []);
  await Promise.all(
    ['show', 'retry', 'release'].map((verb) => refused(/nothing with the id .* is set aside/, 'queue', verb, id)),
  );
});

test('queue: a release sends nothing again to those who were served', async () => {
  const message = mail({ From: alice, To: `${bob.address}, ${carol}`, Subject: 'both' }, 'Hello\n');
  const before = at(carol).length;
  const id = await handIn('', [bob.address, carol], message);
  await aside.entry(id);
  const toBob = await until('Bob gets his', () => at(bob.address)[0]);
  assert.equal(inspect(toBob.message).protection, 'encrypted');
  await done('queue', 'release', id);
  const toCarol = await until('Carol gets hers', () => at(carol)[before]);
  assert.equal(inspect(toCarol.message).protection, 'none');
  await until('the stages are empty', async () => {
    const stages = JSON.parse(await done('queue', 'status', '--json')) as StageStatus[];
    return (
      stages.every(({ waiting, active, delayed, failed }) => waiting + active + delayed + failed === 0) || undefined
    );
  });
  assert.equal(at(bob.address).length, 1);
});

test('queue: what could not be delivered is tried again; a release is refused, it was protected already', async () => {
  outside.setReply(({ stage }) => (stage === 'rcpt' ? '550 5.1.1 No' : undefined));
  const id = `${await handIn('', [bob.address], mail({ From: alice, To: bob.address }, 'Hello\n'))}-g0`;
  const { code, stage } = await aside.entry(id);
  assert.deepEqual([code, stage], ['bounce-undeliverable', 'delivery']);
  await refused(/waits for delivery and was protected already; use `sealpost queue retry/, 'queue', 'release', id);
  outside.setReply(undefined);
  const before = at(bob.address).length;
  await done('queue', 'retry', id);
  const sent = await until('it is delivered', () => at(bob.address)[before]);
  assert.equal(inspect(sent.message).protection, 'encrypted');
});

test('explain: every fact and the decision, without sending anything', async () => {
  const count = outside.transactions.length + inside.transactions.length;
  const explain = async (message: Buffer | string, from: string, ...to: string[]) => {
    const file = partner.file('explained.eml');
    writeFileSync(file, message);
    return JSON.parse(await done('explain', file, '--from', from, '--to', ...to, '--json')) as {
      facts: { direction: string };
      classification: { malformed: boolean; protection: string };
      certificates: { address: string; certificates: { usable: boolean; refusal?: string }[] }[];
      plan: { groups: { recipients: number[]; action: { do: string; code?: string; encryptTo?: string[] } }[] };
    };
  };
  const actions = ({ plan }: Awaited<ReturnType<typeof explain>>) =>
    plan.groups.map(({ recipients, action }) => [recipients, action.do, action.code ?? action.encryptTo?.length ?? 0]);

  const ordinary = await explain(
    mail({ From: alice, To: `${bob.address}, ${carol}` }, 'x\n'),
    alice,
    bob.address,
    carol,
  );
  assert.equal(ordinary.facts.direction, 'outbound');
  assert.deepEqual(actions(ordinary), [
    [[0], 'protect', 1],
    [[1], 'bounce', 'recipient-without-certificate'],
  ]);
  const noSender = await explain(mail({ From: alice, To: carol }, 'x\n'), '', carol);
  assert.deepEqual(actions(noSender), [[[0], 'quarantine', 'unprotected-null-sender']]);
  const reply = partner.protect('hello\n', {
    recipients: [bob.certificate],
    headers: `From: ${bob.address}\r\nTo: ${alice}\r\n`,
  });
  const answer = await explain(reply, bob.address, alice);
  assert.deepEqual([answer.facts.direction, answer.classification.protection], ['inbound', 'encrypted']);
  assert.deepEqual(
    answer.plan.groups.map(({ action }) => action.do),
    ['open'],
  );

  const table = await done('explain', partner.file('explained.eml'), '--from', bob.address, '--to', alice);
  assert.match(table, /^tenant +alpha-test\ndirection +inbound\n/);
  assert.match(table, /\ndecision g0 +alice@alpha\.test: \{"do":"open"/);
  await refused(/there is no file/, 'explain', partner.file('none.eml'), '--from', alice, '--to', carol);
  const stray = await sealpost('explain', partner.file('explained.eml'), '--from', 'a@b.test', '--to', carol);
  assert.notEqual(stray.code, 0);
  assert.match(stray.stderr, /No tenant has the domain of the recipient/);
  assert.equal(outside.transactions.length + inside.transactions.length, count);
});

test('config check: good and bad, with the key and what is allowed', async () => {
  const good = join(gateway.directory, 'config.yaml');
  assert.deepEqual(await run('config', 'check', good), { code: 0, stdout: `${good}: ok\n`, stderr: '' });
  const bad = partner.file('bad.yaml');
  const config = JSON.parse(readFileSync(good, 'utf8'));
  config.egress.rutes = [];
  config.queue.maxAgeHours = 'long';
  writeFileSync(bad, JSON.stringify(config));
  const { code, stdout } = await run('config', 'check', bad);
  assert.equal(code, 1);
  assert.match(stdout, /egress\.rutes.*routes/);
  assert.match(stdout, /queue\.maxAgeHours/);
  const json = await run('config', 'check', bad, '--json');
  const answer = JSON.parse(json.stdout) as { ok: boolean; problems: { path: string }[] };
  assert.equal(answer.ok, false);
  assert.deepEqual(answer.problems.map(({ path }) => path).sort(), ['egress.rutes', 'queue.maxAgeHours']);
  const none = await run('config', 'check', partner.file('none.yaml'));
  assert.equal(none.code, 1);
  assert.match(none.stdout, /cannot be read/);
});

test('a command line that is wrong is answered with what it takes, and exit code 2', async () => {
  const wrong = await run('queue', 'lst');
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /unknown command 'lst'[\s\S]*list/);
  const missing = await run('trust', 'add');
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /missing required argument 'file'/);
});
