// Mail for fault tests: a partner who uses OpenSSL, messages of all kinds and sizes in both directions, and what each must look like
// when it has arrived.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { inspect, readHeaders } from '@sealpost/smime';
import { mail, makePartner, type Partner } from '../e2e/partner.ts';
import { messageId, type Parcel, type Server } from './traffic.ts';

const alice = 'alice@alpha.test';
const bobAddress = 'bob@partner.test';
const sizes = [1_000, 4_000, 20_000, 77_000, 300_000, 1_000_000];
/** What each message says; readable only where it is not encrypted. */
export const secret = 'the harvest was good';

/** Runs a `sealpost` command on the gateway; the parsed JSON that it printed. */
export type Cli = (...args: string[]) => Promise<unknown>;

export interface Post {
  /** Half outbound, half inbound; of the latter every other one signed and encrypted. */
  parcels(count: number): Parcel[];
  /** What bob reads in outbound mail, decrypted and verified by OpenSSL; throws where one of them fails. */
  read(came: Buffer): string;
  close(): void;
}

/** Makes the two know each other: alice of the gateway's domain alpha.test and bob at the partner's. */
export async function openPost(
  cli: Cli,
  doors: { readonly outbound: Server; readonly inbound: Server },
): Promise<Post> {
  const partner = makePartner('partner');
  const bob = partner.person(bobAddress);
  await cli('identity', 'add', alice);
  await cli('import', '--cert', bob.certificate);
  await cli('trust', 'add', partner.ca);
  const { pem, issuers } = (await cli('identity', 'show', alice)) as Shown;
  const forAlice = encryptingCertificate(pem, partner);
  const alicesCa = partner.file('alices-ca.pem');
  writeFileSync(alicesCa, issuers[0]?.at(-1) ?? '');
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
      return { name, server: doors.outbound, from: alice, to: [bobAddress], message };
    }
    const isSealed = number % 4 === 1;
    const name = `${isSealed ? 'sealed' : 'plain'}-${number}`;
    const headers = Object.entries(fields(bobAddress, alice, name)).map(([field, value]) => `${field}: ${value}\r\n`);
    const message = isSealed
      ? Buffer.concat([Buffer.from(headers.join('')), sealed[at] ?? Buffer.alloc(0)])
      : mail(fields(bobAddress, alice, name), entityBody(sizes[at] ?? 0));
    return { name, server: doors.inbound, from: bobAddress, to: [alice], message };
  }

  return {
    parcels: (count) => Array.from({ length: count }, parcel),
    read(came) {
      const { content, signers } = partner.verify(partner.decrypt(came, bob), alicesCa);
      assert.ok(signers.includes(`email:${alice}`));
      return content.toString();
    },
    close: () => partner.close(),
  };
}

/** As it was sent, or protected, or opened, as its name says. */
export function judgeMessage(name: string, sent: Buffer, came: Buffer): void {
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

interface Shown {
  readonly pem: readonly string[];
  /** Of each, up to the CA. */
  readonly issuers: readonly (readonly string[])[];
}

function encryptingCertificate(pem: readonly string[], partner: Partner): string {
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
