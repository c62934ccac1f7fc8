// What fault tests play on: a whole gateway between an inside and an outside, a partner with OpenSSL, and mail of all kinds and
// sizes in both directions whose arrival can be judged.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect, readHeaders } from '@sealpost/smime';
import { type SinkOptions, type SmtpSink, startSmtpSink } from '@sealpost/testkit';
import { type Ready, startInstallation, type TestInstallation } from '../e2e/installation.ts';
import { mail, makePartner, type Partner } from '../e2e/partner.ts';
import { arrivedParcels, messageId, type Parcel, untilArrived } from './traffic.ts';

export type Kind = keyof Ready['pids'];

const alice = 'alice@alpha.test';
const bobAddress = 'bob@partner.test';
const sizes = [1_000, 4_000, 20_000, 77_000, 300_000, 1_000_000];
/** What each message says; readable only where it is not encrypted. */
const secret = 'the harvest was good';

export interface Scene {
  readonly gateway: TestInstallation;
  readonly inside: SmtpSink;
  readonly outside: SmtpSink;
  /** Half outbound, half inbound; of the latter every other one signed and encrypted. */
  parcels(count: number): Parcel[];
  /** Waits until all are there, judges each, and shows that nothing was set aside; the number of duplicates. */
  judge(parcels: readonly Parcel[], withinMs: number): Promise<number>;
  /** SIGKILL of one process of this kind; resolves when it is gone. */
  kill(kind: Kind): Promise<void>;
  close(): Promise<void>;
}

export async function startScene(options: { workers?: number; outside?: SinkOptions } = {}): Promise<Scene> {
  const [inside, outside] = [await startSmtpSink(), await startSmtpSink(options.outside)];
  const gateway = await startInstallation({
    internal: inside.port,
    external: outside.port,
    workers: options.workers ?? 2,
  });
  const partner = makePartner('partner');
  const bob = partner.person(bobAddress);
  await gateway.cli('identity', 'add', alice);
  await gateway.cli('import', '--cert', bob.certificate);
  await gateway.cli('trust', 'add', partner.ca);
  const forAlice = await encryptingCertificate(gateway, partner);
  const sealed = sizes.map((size) =>
    partner.protect(entity(size), { signer: bob, recipients: [forAlice], headers: '' }),
  );
  let made = 0;

  function parcel(): Parcel {
    const number = made++;
    const at = Math.floor(number / 4) % sizes.length;
    if (number % 2 === 0) {
      const name = `outbound-${number}`;
      const message = mail(fields(alice, bobAddress, name), entityBody(sizes[at] ?? 0));
      return { name, server: gateway.ready.outbound, from: alice, to: [bobAddress], message };
    }
    const isSealed = number % 4 === 1;
    const name = `${isSealed ? 'sealed' : 'plain'}-${number}`;
    const headers = Object.entries(fields(bobAddress, alice, name)).map(([field, value]) => `${field}: ${value}\r\n`);
    const message = isSealed
      ? Buffer.concat([Buffer.from(headers.join('')), sealed[at] ?? Buffer.alloc(0)])
      : mail(fields(bobAddress, alice, name), entityBody(sizes[at] ?? 0));
    return { name, server: gateway.ready.inbound, from: bobAddress, to: [alice], message };
  }

  return {
    gateway,
    inside,
    outside,
    parcels: (count) => Array.from({ length: count }, parcel),
    async judge(parcels, withinMs) {
      const duplicates = await untilArrived(parcels, [inside, outside], withinMs);
      const arrived = arrivedParcels(inside, outside);
      for (const { name, message } of parcels) {
        for (const { transaction } of arrived.get(name) ?? [])
          judgeMessage(name, Buffer.from(message), transaction.message);
      }
      assert.deepEqual(await gateway.cli('queue', 'list'), [], 'nothing was set aside');
      return duplicates;
    },
    kill: (kind) => killOne(gateway.directory, kind),
    async close() {
      await gateway.stop();
      await Promise.all([inside.close(), outside.close()]);
      partner.close();
    },
  };
}

function judgeMessage(name: string, sent: Buffer, came: Buffer): void {
  if (name.startsWith('outbound')) {
    assert.equal(inspect(came).protection, 'encrypted', name);
    assert.ok(!came.includes(secret), name);
  } else if (name.startsWith('sealed')) {
    assert.ok(came.includes(secret), name);
    const result = readHeaders(came).find((field) => field.name === 'x-sealpost-result')?.value ?? '';
    assert.match(result, /\bverified\b/, name);
  } else assert.ok(came.subarray(-sent.length).equals(sent), name);
}

function fields(from: string, to: string, name: string) {
  return { From: from, To: to, Subject: 'harvest', 'Message-ID': messageId(name) };
}

function entityBody(bytes: number): string {
  const line = `${secret}, and it was well kept in the barn\n`;
  return line.repeat(Math.ceil(bytes / line.length));
}

const entity = (bytes: number): string => `Content-Type: text/plain; charset=us-ascii\n\n${entityBody(bytes)}`;

async function encryptingCertificate(gateway: TestInstallation, partner: Partner): Promise<string> {
  const { pem } = (await gateway.cli('identity', 'show', alice)) as { pem: readonly string[] };
  const files = pem.map((text, index) => {
    const file = partner.file(`alice${index}.pem`);
    writeFileSync(file, text);
    return file;
  });
  const found = files.find((file) =>
    /Key Encipherment/.test(execFileSync('openssl', ['x509', '-in', file, '-noout', '-text'], { encoding: 'utf8' })),
  );
  assert.ok(found);
  return found;
}

/** The newest of them, as `sealpost up` remembers it; waits while one is being started. */
async function killOne(directory: string, kind: Kind): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const pids: Ready['pids'] = JSON.parse(readFileSync(join(directory, 'run/pids.json'), 'utf8'));
    const pid = pids[kind].at(-1);
    if (pid !== undefined && signal(pid, 'SIGKILL')) {
      while (signal(pid, 0)) await sleep(5);
      return;
    }
    await sleep(50);
  }
  throw new Error(`no process of ${kind} to kill`);
}

function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}
