// Outbound mail, signed and encrypted, through the whole pipeline: messages a second and processor time for each, beside Postfix with
// an `openssl cms` pipe filter under the same load in the same run. Both sides: RSA-2048, SHA-256, AES-256-CBC, one recipient, mail
// on disk before it is acknowledged, TLS on the way in and out; taken from smtp-source over kept sessions, delivered to smtp-sink.
// Usage: npm run bench -- pipeline [--json] [--rounds N] [--messages N] [--peer-messages N] [--bytes N] [--plain] [--only sealpost]
//        [--profile DIR]; --plain leaves TLS out, --profile leaves a .cpuprofile of every Node process there

import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { makePartner, type Partner, type Person } from '../e2e/partner.ts';
import { postfixMissing } from '../e2e/postfix.ts';
import { type Mail, type Measured, measure, type Side, sample } from './load.ts';
import { startPostfixFilter } from './postfix-side.ts';
import { startSealpost } from './sealpost-side.ts';
import { tlsMissing, withTls } from './tls-ends.ts';

const sender = 'alice@alpha.test';
const recipient = 'bob@partner.test';
const sessions = 20;
/** Tried for the peer, scripts at a time for each core; the fastest is measured. */
const filtersPerCore = [1, 2, 4, 8];

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '3' },
    messages: { type: 'string', default: '1000' },
    'peer-messages': { type: 'string', default: '300' },
    bytes: { type: 'string', multiple: true, default: ['4000', '77000'] },
    plain: { type: 'boolean', default: false },
    only: { type: 'string' },
    profile: { type: 'string' },
  },
});
const [rounds, messages, peerMessages] = [values.rounds, values.messages, values['peer-messages']].map(Number);
const sizes = values.bytes.map(Number);

const missing = postfixMissing() || (!values.plain && tlsMissing());
if (missing) {
  process.stderr.write(`${missing}\n`);
  process.exit(1);
}

/** Medians of the rounds, and each round. */
interface Row {
  readonly bytes: number;
  readonly side: string;
  readonly perSecond: number;
  readonly cpuMsPerMessage: number;
  /** Of the last round. */
  readonly cpuMsByProcess: Measured['cpuMsByProcess'];
  readonly rounds: readonly Pick<Measured, 'messages' | 'perSecond' | 'cpuMsPerMessage'>[];
}

await using stack = new AsyncDisposableStack();
const partner = stack.adopt(makePartner('bench'), (made) => made.close());
const bob = partner.person(recipient);
const mails = sizes.map((bytes) => makeMail(partner, bytes));

say('starting Sealpost');
const profile = values.profile === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${values.profile}` };
const started = await startSealpost(sender, bob.certificate, profile);
const sealpost = stack.adopt(await reached(started), (side) => side.stop());
await warmUp(sealpost, messages ?? 0);
writeFileSync(partner.file('roots.pem'), started.roots);
await check(sealpost, 'roots.pem');

const signer = partner.person(sender);
const isAlone = values.only === 'sealpost';
const peer = isAlone ? undefined : await tunedPeer(signer);
if (peer) stack.adopt(peer.side, (side) => side.stop());

const runs: { bytes: number; side: string; measured: Measured }[] = [];
for (let round = 1; round <= (rounds ?? 1); round++) {
  for (const { bytes, mail } of mails) {
    for (const [side, count] of [
      [sealpost, messages],
      ...(peer ? ([[peer.side, peerMessages]] as const) : []),
    ] as const) {
      const measured = await measure(side, mail, count ?? 0, sessions);
      say(`round ${round}, ${bytes} bytes, ${side.name}: ${text(measured)}`);
      runs.push({ bytes, side: side.name, measured });
    }
  }
}

const rows = [...Map.groupBy(runs, ({ bytes, side }) => `${bytes} ${side}`).values()].map(rowOf);
const ratios = peer ? sizes.map((bytes) => ratioOf(bytes)) : [];
if (values.json) {
  const tuned = peer ? { filters: peer.filters, tried: peer.tried } : {};
  const result = { name: 'pipeline', cores: availableParallelism(), sessions, peer: tuned, rows, ratios };
  process.stdout.write(`${JSON.stringify(result)}\n`);
} else print();

/** As the load reaches it. */
async function reached(side: Side): Promise<Side> {
  return values.plain ? side : await withTls(side, partner);
}

function makeMail({ file }: Partner, bytes: number): { bytes: number; mail: Mail } {
  const lines = (count: number): string =>
    'The quick brown fox jumps over the lazy dog, and the day is young.\n'.repeat(count);
  const text = lines(Math.floor((Math.min(bytes, 4000) - 600) / 67));
  const attachment = randomBytes(Math.floor((Math.max(0, bytes - 4000) * 54) / 73))
    .toString('base64')
    .replace(/.{72}/g, '$&\n');
  const part = (head: string, body: string): string => `--limit\n${head}\n\n${body}\n`;
  const message = [
    `From: Alice <${sender}>`,
    `To: Bob <${recipient}>`,
    'Subject: Quarterly figures',
    'Date: Mon, 02 Nov 2026 09:00:00 +0000',
    'Message-ID: <figures@alpha.test>',
    'MIME-Version: 1.0',
    'Content-Type: multipart/mixed; boundary=limit',
    '',
    part('Content-Type: text/plain; charset=us-ascii', text) +
      part('Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64', attachment) +
      '--limit--',
    '',
  ].join('\n');
  const path = file(`mail-${bytes}.eml`);
  writeFileSync(path, message);
  return { bytes, mail: { from: sender, to: recipient, file: path } };
}

/** Compilers, caches and connections of a process that has run for a while. */
async function warmUp(side: Side, count: number): Promise<void> {
  for (const { mail } of mails) await measure(side, mail, count, sessions);
}

/** What comes out is what the figures claim: encrypted to the recipient, and signed by the sender inside. */
async function check(side: Side, roots: string): Promise<void> {
  for (const { mail } of mails) {
    const content = partner.decrypt(await sample(side, mail), bob);
    const verified = partner.verify(content, partner.file(roots));
    if (!verified.content.includes('The quick brown fox') || !verified.signers.includes(`email:${sender}`))
      throw new Error(`${side.name} did not sign and encrypt`);
  }
}

async function tunedPeer(signerOfPeer: Person) {
  const tried: { filters: number; perSecond: number }[] = [];
  const [small] = mails;
  for (const filters of filtersPerCore.map((each) => each * availableParallelism())) {
    const side = await reached(await startPostfixFilter(signerOfPeer, bob, filters));
    try {
      if (!small) break;
      await warmUp(side, 40);
      const { perSecond } = await measure(side, small.mail, Math.ceil((peerMessages ?? 0) / 2), sessions);
      say(`Postfix with ${filters} filters at a time: ${perSecond.toFixed(1)} messages/s`);
      tried.push({ filters, perSecond });
    } finally {
      await side.stop();
    }
  }
  const [best] = tried.sort((one, other) => other.perSecond - one.perSecond);
  const filters = best?.filters ?? availableParallelism();
  const side = await reached(await startPostfixFilter(signerOfPeer, bob, filters));
  await warmUp(side, 40);
  await check(side, 'ca.pem');
  return { side, filters, tried };
}

function rowOf(group: typeof runs): Row {
  const last = group.at(-1);
  if (!last) throw new Error('nothing was measured');
  return {
    bytes: last.bytes,
    side: last.side,
    perSecond: median(group.map(({ measured }) => measured.perSecond)),
    cpuMsPerMessage: median(group.map(({ measured }) => measured.cpuMsPerMessage)),
    cpuMsByProcess: last.measured.cpuMsByProcess,
    rounds: group.map(({ measured: { cpuMsByProcess: _, ...round } }) => round),
  };
}

/** Of an even number the lower one of the two in the middle. */
function median(numbers: readonly number[]): number {
  return numbers.toSorted((one, other) => one - other)[Math.floor((numbers.length - 1) / 2)] ?? 0;
}

/** Above 1 Sealpost is ahead. */
function ratioOf(bytes: number) {
  const [ours, theirs] = rows.filter((row) => row.bytes === bytes);
  if (!ours || !theirs) throw new Error('a side is missing');
  return {
    bytes,
    perSecond: ours.perSecond / theirs.perSecond,
    cpu: theirs.cpuMsPerMessage / ours.cpuMsPerMessage,
  };
}

function print(): void {
  const line = (...cells: readonly string[]): void => {
    process.stdout.write(
      `${cells.map((cell, at) => (at === 1 ? cell.padEnd(16) : cell.padStart(at === 0 ? 6 : 12))).join(' ')}\n`,
    );
  };
  line('bytes', 'side', 'messages/s', 'CPU ms each');
  for (const { bytes, side, perSecond, cpuMsPerMessage } of rows)
    line(String(bytes), side, perSecond.toFixed(1), cpuMsPerMessage.toFixed(2));
  for (const { bytes, perSecond, cpu } of ratios)
    process.stdout.write(
      `\n${bytes} bytes: ${perSecond.toFixed(2)}x the messages/s, ${cpu.toFixed(2)}x less CPU a message`,
    );
  process.stdout.write('\n');
}

function text({ perSecond, cpuMsPerMessage, cpuMsByProcess }: Measured): string {
  const parts = Object.entries(cpuMsByProcess).map(([name, ms]) => `${name} ${ms.toFixed(2)}`);
  return `${perSecond.toFixed(1)} messages/s, ${cpuMsPerMessage.toFixed(2)} ms CPU each (${parts.join(', ')})`;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
