// One process of the memory benchmark: idle, then one large message. Linux: the peak is VmHWM of proc(5). `make` leaves the message and
// what `open` needs in the directory.
// Usage: node memory-one.ts make|open CIPHER DIRECTORY

import { createPrivateKey } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CipherName, localKeys, open, parseCertificate, protect } from '../../packages/smime/src/index.ts';
import { ca, NOW, person } from '../../packages/smime/test/people.ts';

/** Lines of a first message, large enough for the code that large ones take: an idle gateway has seen mail before. */
const WARM_UP = 500_000;

const [direction, cipher = 'aes-256-cbc', directory = '.'] = process.argv.slice(2);
const file = (name: string): string => join(directory, name);

function status(name: string): number {
  const [, kibibytes] = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  return Number(kibibytes) * 1024;
}

const { messageBytes, idleBytes, peakBytes } = await (direction === 'make' ? make() : openMade());
process.stdout.write(JSON.stringify({ messageBytes, idleBytes, peakBytes }));

async function make() {
  const [alice, bob] = [person('alice', 'rsa'), person('bob', 'rsa')];
  const options = {
    keys: localKeys([alice]),
    sign: { certificate: alice.certificate, chain: [ca] },
    encrypt: { recipients: [bob.certificate], cipher: cipher as CipherName },
    now: NOW,
  };
  await protect(Buffer.from(`From: alice@example.test\r\n\r\n${'x\r\n'.repeat(WARM_UP)}`), options);
  const idle = status('VmRSS');
  const message = readFileSync(file('plain'));
  const made = await protect(message, options);
  const peak = status('VmHWM');
  writeFileSync(file('made'), made);
  writeFileSync(file('ca'), ca.der);
  writeFileSync(file('recipient'), bob.certificate.der);
  writeFileSync(file('recipient.key'), bob.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  return { messageBytes: message.length, idleBytes: idle, peakBytes: peak };
}

async function openMade() {
  const certificate = parseCertificate(readFileSync(file('recipient')));
  const keys = localKeys([{ certificate, privateKey: createPrivateKey(readFileSync(file('recipient.key'))) }]);
  const options = { keys, recipients: [certificate], trust: [parseCertificate(readFileSync(file('ca')))], at: NOW };
  await open(Buffer.from(`From: alice@example.test\r\n\r\n${'x\r\n'.repeat(WARM_UP)}`), options);
  const idle = status('VmRSS');
  const message = readFileSync(file('made'));
  const result = await open(message, options);
  const peak = status('VmHWM');
  if (result.kind !== 'opened' || !result.verdict.verified) throw new Error('not verified');
  return { messageBytes: message.length, idleBytes: idle, peakBytes: peak };
}
