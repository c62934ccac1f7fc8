// Where the bytes of a private key are: not in the store's files, a backup, the audit log or the logs, nor in a worker's memory after
// its lease ended. What the key service's own memory shows while it is open is said, not denied. On Linux, by whoever may trace these.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { encodeEnvelope, type KeyId } from '@sealpost/core';
import { issueCertificate } from '@sealpost/smime';
import { temporaryDirectory } from '@sealpost/testkit';
import { makeQuorum } from '../../apps/key-service/src/backup/quorum.ts';
import { runKeyService, ticketFor } from '../../apps/key-service/test/running-key-service.ts';

const address = 'needle@alpha.test';
const keyId = 'alpha/needle%40alpha.test/signing/1' as KeyId;
const canLook = existsSync('/proc/self/smaps');
const readLength = 8 * 1024 * 1024;
/** Longer than what is looked for. */
const overlap = 64;

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const needles = needlesOf();

/** Pieces of both primes, as DER has them and as OpenSSL's little-endian words have them, and of the base64 of PEM. */
function needlesOf(): readonly Buffer[] {
  const jwk = privateKey.export({ format: 'jwk' });
  const primes = [jwk.p, jwk.q].map((text) => Buffer.from(text ?? '', 'base64url'));
  const reversed = primes.map((prime) => Buffer.from(prime).reverse());
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString().split('\n').slice(16, 17);
  return [...[...primes, ...reversed].map((bytes) => bytes.subarray(40, 72)), ...pem.map((line) => Buffer.from(line))];
}

function holdsKey(file: string, wanted: readonly Buffer[] = needles): boolean {
  const bytes = readFileSync(file);
  return wanted.some((needle) => bytes.includes(needle));
}

/** Looks through all that a process may write to, as a core dump of it would hold it (proc(5), maps and mem). */
function memoryHolds(pid: number, wanted: readonly Buffer[] = needles): boolean {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    return writable(pid).some(([start, end]) => regionHolds(memory, start, end, wanted));
  } finally {
    closeSync(memory);
  }
}

/** Regions that are writable and of which something is in memory. */
function writable(pid: number): [start: number, end: number][] {
  const regions = readFileSync(`/proc/${pid}/smaps`, 'latin1').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  return regions.flatMap((region) => {
    const [, start, end] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(region) ?? [];
    const isThere = Number(/^Rss:\s+(\d+)/m.exec(region)?.[1]) > 0;
    return start && end && isThere ? [[Number.parseInt(start, 16), Number.parseInt(end, 16)]] : [];
  });
}

function regionHolds(memory: number, start: number, end: number, wanted: readonly Buffer[]): boolean {
  const chunk = Buffer.alloc(Math.min(readLength, end - start));
  for (let at = start; at < end; at += readLength - overlap) {
    const length = readSync(memory, chunk, 0, Math.min(chunk.length, end - at), at);
    if (wanted.some((needle) => chunk.subarray(0, length).includes(needle))) return true;
  }
  return false;
}

function importable(): Buffer {
  const now = Date.now();
  const certificate = issueCertificate({
    subject: { commonName: 'Needle' },
    addresses: [address],
    publicKey,
    profile: 'smime',
    notBefore: new Date(now - 60_000),
    notAfter: new Date(now + 86_400_000),
    issuer: { certificate: 'self', privateKey },
  });
  const body = certificate.der.toString('base64').replace(/.{64}/g, '$&\n');
  const pem = `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`;
  return Buffer.from(`${pem}${privateKey.export({ format: 'pem', type: 'pkcs8' })}`);
}

test('no private key in any file, nor in a worker whose lease ended', {
  skip: !canLook,
  timeout: 300_000,
}, async (context) => {
  await using place = await temporaryDirectory();
  const { recipient } = await makeQuorum(2, 3);
  const recipientFile = join(place.path, 'recipient.json');
  writeFileSync(recipientFile, JSON.stringify(recipient));
  const backup = { directory: join(place.path, 'backups'), recipient: recipientFile };
  await using service = await runKeyService({ keyServer: { backup } });
  const operator = service.call('operator');
  await operator.call('import', { file: importable() });
  const { ticket, envelope } = ticketFor(await service.as('ingress').ticketSigner(), { from: address });

  const script = join(import.meta.dirname, 'leasing-worker.ts');
  const given = [service.configFile, keyId, ticket.toString('base64'), encodeEnvelope(envelope).toString('base64')];
  const worker = spawn(process.execPath, ['--expose-gc', script, ...given], { stdio: ['pipe', 'pipe', 'inherit'] });
  const gone = once(worker, 'exit');
  try {
    const lines = worker.stdout[Symbol.asyncIterator]();
    const says = async (word: string) => assert.equal(String((await lines.next()).value).trim(), word);
    await says('holding');
    assert.ok(memoryHolds(worker.pid ?? 0), 'the search finds a key that is held');
    worker.stdin.write('ends\n');
    // Wakes the worker's question for what was called back; a round of it also drops what has ended.
    await wait(200);
    await operator.call('lease-revoke', { keyId: 'alpha/nobody%40alpha.test/signing/1' }).catch(() => undefined);
    await wait(12_000);
    worker.stdin.write('collect\n');
    await says('collected');
    assert.equal(memoryHolds(worker.pid ?? 0), false, 'the lease has ended');
  } finally {
    worker.kill('SIGKILL');
    await gone;
  }

  await operator.call('backup-make', {});
  const slotSecret = readFileSync(join(service.directory, 'root')).subarray(-40, -4);
  const shown = { leasedKey: memoryHolds(service.pid()), slotSecret: memoryHolds(service.pid(), [slotSecret]) };
  context.diagnostic(`the memory of the open key service, read by root, shows ${JSON.stringify(shown)}`);
  const output = join(place.path, 'output.log');
  writeFileSync(output, service.output());
  await service.end();
  const directories = ['keys', 'audit'].map((part) => join(service.directory, part));
  const files = [...directories, backup.directory].flatMap((part) => readdirSync(part).map((name) => join(part, name)));
  assert.ok(files.length >= 3);
  for (const file of [...files, output]) assert.equal(holdsKey(file), false, file);
});

test('a key service that crashes leaves a dump without memory', { skip: !canLook, timeout: 60_000 }, async () => {
  await using service = await runKeyService();
  const filter = readFileSync(`/proc/${service.pid()}/coredump_filter`, 'utf8');
  assert.equal(Number.parseInt(filter, 16), 0);
});
