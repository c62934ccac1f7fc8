// The demonstration of `npm start`: one real message around between two organisations that share nothing but their public
// certificates. alice@alpha.test → signed and encrypted → over "the internet" → the other one's inbound listener → decrypted and
// verified → bob@beta.test. Every step is shown by evidence, not by what a process says of itself.

import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KeyAdmin } from '@sealpost/service';
import { inspect, readHeaders } from '@sealpost/smime';
import { connectSmtp, type SinkTransaction, type SmtpMail, type SmtpSink, startSmtpSink } from '@sealpost/testkit';
import type { Layout } from './layout.ts';
import type { HostPort, Tenant } from './settings.ts';

export const demoTenants = [
  { id: 'alpha-test', domain: 'alpha.test' },
  { id: 'beta-test', domain: 'beta.test' },
] as const satisfies readonly Tenant[];

const alice = 'alice@alpha.test';
const bob = 'bob@beta.test';
const run = `${process.pid}-${Date.now()}`;
/** Names the mail in its Message-ID, which stays readable. */
const messageId = `<demo-${run}@alpha.test>`;
/** Stands in the text only: no file and no wire may show it. */
const secret = `our best price is ${run}`;
/** The whole way takes well below a second; a machine that is busy with something else gets time. */
const arrivalMs = 30_000;

interface DemoStep {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

export interface DemoResult {
  readonly ok: boolean;
  readonly steps: readonly DemoStep[];
  /** Milliseconds. */
  readonly timings: Readonly<Record<string, number>>;
}

/** The two places outside the gateway: the internet between the organisations, and bob's mailbox. */
export interface DemoWorld {
  readonly internet: HostPort;
  readonly mailbox: HostPort;
  /** Sends the message and gathers the evidence. */
  run(gateway: { outbound: HostPort; inbound: HostPort; layout: Layout; admin: KeyAdmin }): Promise<DemoResult>;
  close(): Promise<void>;
}

export async function startDemoWorld(): Promise<DemoWorld> {
  const internet = await startSmtpSink();
  const mailbox = await startSmtpSink();
  return {
    internet: addressOf(internet),
    mailbox: addressOf(mailbox),
    async run({ outbound, inbound, layout, admin }) {
      await introduce(admin);
      const started = performance.now();
      const since = (): number => Math.round(performance.now() - started);
      const reply = await send(outbound, { from: alice, to: [bob], message: demoMessage() });
      const accepted = since();
      const wire = await arrival(internet);
      const protectedAt = since();
      const handedOn =
        wire && (await send(inbound, { from: wire.mailFrom, to: addressesOf(wire), message: wire.message }));
      const final = await arrival(mailbox);
      const delivered = since();
      const steps = evidence({ reply, wire, handedOn, final, layout });
      return { ok: steps.every(({ ok }) => ok), steps, timings: { accepted, protected: protectedAt, delivered } };
    },
    async close() {
      await Promise.all([internet.close(), mailbox.close()]);
    },
  };
}

/** Keys for both, and each one's public certificates at the other: bob's for encrypting, alpha's CA for verifying. */
async function introduce(admin: KeyAdmin): Promise<void> {
  const { identities } = await admin.call('identity-list', {});
  for (const address of [alice, bob]) {
    if (!identities.some((known) => known.address === address && known.certificates.some(({ keyId }) => keyId))) {
      await admin.call('identity-add', { address });
    }
  }
  const [alpha, beta] = demoTenants;
  const { records } = await admin.call('identity-show', { tenant: beta.id, address: bob });
  await admin.call('import', {
    tenant: alpha.id,
    address: bob,
    file: pem(records.map(({ certificate }) => certificate)),
  });
  const signer = await admin.call('identity-show', { tenant: alpha.id, address: alice });
  const roots = signer.records.flatMap(({ chain }) => chain.slice(-1));
  await admin.call('trust-add', { tenant: beta.id, file: pem(roots) });
}

interface Evidence {
  readonly reply: string;
  readonly wire: SinkTransaction | undefined;
  readonly handedOn: string | undefined;
  readonly final: SinkTransaction | undefined;
  readonly layout: Layout;
}

function evidence({ reply, wire, handedOn, final, layout }: Evidence): DemoStep[] {
  const id = /queued as (\S+)/.exec(reply)?.[1];
  const leaks = filesWith(secret, [layout.spool, layout.redis, layout.logs, layout.keys]);
  const onWire = wire && inspect(wire.message);
  const result = final ? resultOf(final.message) : '';
  const body = final?.message.toString() ?? '';
  const step = (name: string, ok: boolean | undefined, detail: string): DemoStep => ({ name, ok: ok ?? false, detail });
  return [
    step('accepted', reply.startsWith('250'), reply),
    step(
      'sealed',
      leaks.length === 0,
      leaks.length === 0 ? 'no file of the installation holds the text' : `found in ${leaks.join(', ')}`,
    ),
    step('queued', id !== undefined, id ?? 'no queue id in the reply'),
    step('signed', /\bsigner=/.test(result), 'the signature came out of the encryption'),
    step(
      'encrypted',
      onWire?.protection === 'encrypted' && !wire?.message.includes(secret),
      `left as ${onWire?.contentType ?? 'nothing'}`,
    ),
    step('delivered-to-inbound', handedOn?.startsWith('250'), handedOn ?? 'nothing left the outbound side'),
    step('decrypted', body.includes(secret), 'the text is readable again'),
    step('verified', /\bverified\b/.test(result) && !/\bunverified\b/.test(result), result),
    step('footer', body.includes('signature was verified by the mail gateway'), 'a line below the text says so'),
    step(
      'delivered',
      final && addressesOf(final).includes(bob),
      `to ${final ? addressesOf(final).join(', ') : 'nobody'}`,
    ),
  ];
}

/** Hands a message in and returns the last reply. */
async function send(server: HostPort, mail: SmtpMail): Promise<string> {
  const client = await connectSmtp(server);
  const greeting = await client.greet('demo.sealpost.test');
  if (greeting.code !== 250) return greeting.text;
  const { mail: from, rcpt, data, message } = await client.send(mail);
  client.end();
  return (message ?? data ?? rcpt.at(-1) ?? from).text;
}

function addressesOf({ recipients }: SinkTransaction): string[] {
  return recipients.map(({ address }) => address);
}

function demoMessage(): Buffer {
  const lines = [
    `From: Alice <${alice}>`,
    `To: Bob <${bob}>`,
    'Subject: Our offer',
    `Date: ${new Date().toUTCString().replace('GMT', '+0000')}`,
    `Message-ID: ${messageId}`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    '',
    'Dear Bob,',
    '',
    `${secret}.`,
    '',
  ];
  return Buffer.from(lines.join('\r\n'));
}

async function arrival(sink: SmtpSink): Promise<SinkTransaction | undefined> {
  const deadline = performance.now() + arrivalMs;
  while (performance.now() < deadline) {
    const mail = sink.transactions.find(({ message }) => message.includes(messageId));
    if (mail) return mail;
    await sleep(10);
  }
  return undefined;
}

function resultOf(message: Buffer): string {
  return readHeaders(message).find(({ name }) => name === 'x-sealpost-result')?.value ?? '';
}

function filesWith(text: string, directories: readonly string[]): string[] {
  return directories
    .flatMap((directory) => readdirSync(directory, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => readFileSync(file).includes(text));
}

function addressOf({ host, port }: SmtpSink): HostPort {
  return { host, port };
}

function pem(certificates: readonly Buffer[]): Buffer {
  return Buffer.from(certificates.map((der) => new X509Certificate(der).toString()).join(''));
}
