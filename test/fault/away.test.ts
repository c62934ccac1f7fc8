// What the gateway leans on and what it does without: the key service sealed or silent, next hops that refuse or are away, a disk
// that cannot be written. Mail waits, comes back to its sender, or is set aside, as docs/message-path.md says; processes stay up.

import assert from 'node:assert/strict';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { inspect } from '@sealpost/smime';
import { connectSmtp, type SmtpReplies, type SmtpSink, startSmtpSink } from '@sealpost/testkit';
import { type HostPort, startInstallation, type TestInstallation } from '../e2e/installation.ts';
import {
  type Aside,
  isReady,
  type Kind,
  type LogLine,
  logged,
  pause,
  pidsOf,
  restart,
  resume,
  until,
  watchQuarantine,
} from '../e2e/operating.ts';
import { mail } from '../e2e/partner.ts';

/** One for each test that needs a key nobody leased yet. */
const people = ['alice@alpha.test', 'dora@alpha.test', 'emil@alpha.test'] as const;
const [alice, dora, emil] = people;
const outsider = 'someone@nowhere.test';
const kinds: readonly Kind[] = ['ingress', 'worker', 'egress', 'redis'];

let gateway: TestInstallation;
let inside: SmtpSink;
let outside: SmtpSink;
let aside: Aside;
let processes: readonly (readonly number[])[];

before(async () => {
  [inside, outside] = [await startSmtpSink(), await startSmtpSink()];
  gateway = await startInstallation({ internal: inside.port, external: outside.port });
  await Promise.all(people.map((address) => gateway.cli('identity', 'add', address, '--algorithm', 'p-256')));
  aside = await watchQuarantine(gateway);
  await inbound();
  await outbound(alice);
  processes = kinds.map((kind) => pidsOf(gateway, kind));
});

after(async () => {
  if (gateway) resume(gateway, 'keyService');
  await aside?.[Symbol.asyncDispose]();
  await gateway?.stop();
  await Promise.all([inside?.close(), outside?.close()]);
});

afterEach(() => {
  inside.setReply(undefined);
  outside.setReply(undefined);
  assert.deepEqual(
    kinds.map((kind) => pidsOf(gateway, kind)),
    processes,
    'no process ended',
  );
});

interface Sending {
  readonly from: string;
  readonly mailFrom?: string;
  readonly to: string;
  readonly body?: string;
}

async function talk(door: HostPort, { from, mailFrom = from, to, body = 'Hello\n' }: Sending): Promise<SmtpReplies> {
  await using client = await connectSmtp(door);
  await client.greet();
  const message = mail({ From: from, To: to, Subject: 'x' }, body);
  return await client.send({ from: mailFrom, to: [to], message });
}

async function handIn(door: HostPort, sending: Sending): Promise<string> {
  const { message } = await talk(door, sending);
  const id = /queued as (\S+)/.exec(message?.text ?? '')?.[1];
  assert.ok(id, message?.text ?? 'no reply');
  return id;
}

let serial = 0;
const fresh = (domain: string): string => `r${++serial}@${domain}`;
const at = (sink: SmtpSink, address: string) =>
  sink.transactions.filter(({ recipients }) => recipients.some((each) => each.address === address));
const arrived = (sink: SmtpSink, address: string) => until('it is delivered', () => at(sink, address)[0]);
const outDoor = (): HostPort => gateway.ready.outbound;

/** Plain mail from the world to a new recipient, delivered. */
async function inbound(): Promise<void> {
  const to = fresh('alpha.test');
  await handIn(gateway.ready.inbound, { from: outsider, to });
  await arrived(inside, to);
}

/** Mail of a person to a new recipient, delivered signed. */
async function outbound(from: string): Promise<void> {
  const to = fresh('nowhere.test');
  await handIn(outDoor(), { from, to });
  await arrivedSigned(to);
}

async function arrivedSigned(to: string): Promise<void> {
  const { message } = await arrived(outside, to);
  assert.equal(inspect(message).protection, 'signed');
  assert.equal(at(outside, to).length, 1);
}

const waits = (code: string, id: string): Promise<LogLine> =>
  until(`${id} waits for ${code}`, () =>
    logged(gateway).find(
      (line) => /^(job\.later|delivery\.deferred)$/.test(line.event) && line.code === code && nameOf(line) === id,
    ),
  );
const nameOf = ({ delivery, message }: LogLine): string | undefined => delivery ?? message;

/** The report about `to` at its sender. */
async function reportOn(to: string, sender: string): Promise<string> {
  const report = await until('a report comes', () =>
    at(inside, sender).find(({ mailFrom, message }) => mailFrom === '' && message.includes(to)),
  );
  return report.message.toString();
}

test('key service sealed: mail is taken, what needs no key of a person flows, the rest waits and goes once it is open', async () => {
  const sealed = (await gateway.cli('key-service', 'seal')) as { sealed: boolean };
  assert.equal(sealed.sealed, true);
  const to = fresh('nowhere.test');
  const id = await handIn(outDoor(), { from: dora, to });
  await waits('key-service-sealed', id);
  await inbound();
  assert.deepEqual(at(outside, to), []);

  // An ingress that starts now has no key to seal mail with: it is not ready, and leaves mail with the client.
  for (const pid of pidsOf(gateway, 'ingress')) process.kill(pid, 'SIGTERM');
  const refused = await until('a new ingress answers', async () => {
    const replies = await talk(outDoor(), { from: alice, to }).catch(() => undefined);
    return replies?.message;
  });
  assert.match(refused.text, /^451 4\.3\.0 /);
  assert.equal(await isReady(gateway, 'ingress'), false);
  processes = kinds.map((kind) => pidsOf(gateway, kind));

  await restart(gateway, 'keyService');
  await until('the ingress is ready', async () => (await isReady(gateway, 'ingress')) || undefined);
  await arrivedSigned(to);
  await outbound(alice);
});

test('key service silent: the same', async () => {
  pause(gateway, 'keyService');
  const to = fresh('nowhere.test');
  const id = await handIn(outDoor(), { from: emil, to });
  await inbound();
  await waits('key-service-unavailable', id);
  assert.deepEqual(at(outside, to), []);
  resume(gateway, 'keyService');
  await arrivedSigned(to);
});

test('next hop says 4xx: tried again, delivered once; each recipient on its own', async () => {
  let refusals = 1;
  outside.setReply(({ stage }) => (stage === 'rcpt' && refusals-- > 0 ? '451 4.2.0 Greylisted' : undefined));
  const to = fresh('nowhere.test');
  const id = await handIn(outDoor(), { from: alice, to });
  await waits('next-hop-deferred', `${id}-g0`);
  await arrivedSigned(to);
  assert.ok(!inside.transactions.some(({ mailFrom, message }) => mailFrom === '' && message.includes(to)));
});

for (const [where, stage] of [
  ['to the recipient', 'rcpt'],
  ['to the sender', 'mail'],
  ['after the final dot', 'message'],
] as const) {
  test(`next hop says 5xx ${where}: the sender gets a report without the body`, async () => {
    const to = fresh('nowhere.test');
    outside.setReply((moment) => (moment.stage === stage ? '550 5.1.1 SECRET WORDS of the next hop' : undefined));
    await handIn(outDoor(), { from: alice, to, body: 'Private words\n' });
    const report = await reportOn(to, alice);
    assert.match(report, /Content-Type: multipart\/report; report-type=delivery-status/);
    const status = new RegExp(
      `Final-Recipient: rfc822; ${to}\r\nAction: failed\r\nStatus: 5\\.1\\.1\r\nDiagnostic-Code: smtp; 550`,
    );
    assert.match(report, status);
    assert.match(report, /Subject: x/);
    assert.doesNotMatch(report, /Private words|SECRET/);
    assert.deepEqual(at(outside, to), []);
  });
}

test('next hop says 5xx to mail without a sender: nobody is told, an operator is asked', async () => {
  outside.setReply(({ stage }) => (stage === 'rcpt' ? '550 5.1.1 No' : undefined));
  const to = fresh('nowhere.test');
  const id = await handIn(outDoor(), { from: alice, mailFrom: '', to });
  assert.equal((await aside.entry(`${id}-g0`)).code, 'bounce-undeliverable');
  assert.ok(!inside.transactions.some(({ message }) => message.includes(to)));
});

test('a report that cannot be delivered is set aside, and not reported on', async () => {
  const to = fresh('nowhere.test');
  outside.setReply(({ stage }) => (stage === 'rcpt' ? '550 5.1.1 No' : undefined));
  inside.setReply(({ stage }) => (stage === 'rcpt' ? '550 5.1.1 No' : undefined));
  const id = await handIn(outDoor(), { from: alice, to });
  const entry = await until('the report is set aside', async () =>
    (await aside.list()).find((each) => each.id.startsWith(`${id}-g0r`)),
  );
  assert.equal(entry.code, 'bounce-undeliverable');
});

test('next hop away: mail waits and goes when it is back', async () => {
  const { port } = outside;
  await outside.close();
  const to = fresh('nowhere.test');
  const id = await handIn(outDoor(), { from: alice, to });
  await waits('next-hop-unavailable', `${id}-g0`);
  await inbound();
  outside = await startSmtpSink({ port });
  await arrivedSigned(to);
});

test('the disk of the blob store cannot be written: 451 for large mail, small mail flows, nothing is lost', async () => {
  // Where every file begins; a superuser is not stopped by permissions.
  const spool = join(gateway.directory, 'spool/tmp');
  const body = 'a line of a large mail\n'.repeat(4_000);
  pause(gateway, 'worker');
  const to = fresh('nowhere.test');
  const id = await handIn(outDoor(), { from: alice, to, body });
  renameSync(spool, `${spool}.away`);
  writeFileSync(spool, 'not a directory');
  try {
    resume(gateway, 'worker');
    const refused = await talk(outDoor(), { from: alice, to: outsider, body });
    assert.match(refused.message?.text ?? '', /^451 4\.3\.0 /);
    await waits('blob-unavailable', id);
    await inbound();
  } finally {
    rmSync(spool);
    renameSync(`${spool}.away`, spool);
  }
  await arrivedSigned(to);
  await handIn(outDoor(), { from: alice, to: fresh('nowhere.test'), body });
});
