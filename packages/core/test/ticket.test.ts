// Tickets: only a stage that the service CA certified for its role can make one, for one kind, tenant and id, for a limited time.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  codeOf,
  formatKeyId,
  newMessageId,
  type ServiceRole,
  signTicket,
  type Ticket,
  type TicketSigner,
  tenantId,
  ticketVerifier,
} from '../src/index.ts';

const directory = mkdtempSync(join(tmpdir(), 'sealpost-ticket-'));
after(() => rmSync(directory, { recursive: true }));
const inDirectory = (name: string): string => join(directory, name);
const openssl = (...args: string[]): void => {
  execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
};

const authority = makeAuthority('ca');
const stranger = makeAuthority('stranger');
const tenant = tenantId('alpha');
const now = new Date();
const dayMs = 86_400_000;
const verifier = ticketVerifier([authority], 5 * dayMs);
const id = newMessageId(now);
const ticket: Ticket = {
  kind: 'crypto',
  tenant,
  id,
  direction: 'outbound',
  source: 'office',
  envelopeHash: randomBytes(32),
  acceptedAt: now,
  issuedAt: now,
  blobHash: randomBytes(32),
  keyId: formatKeyId({ tenant, identity: 'stage.crypto', use: 'spool', version: 1 }),
  previous: Buffer.alloc(0),
};
const ingress = makeSigner('ingress', 'ca');
const worker = makeSigner('crypto-worker', 'ca');

const codeOfVerifying = (
  bytes: Buffer,
  expected = { kind: ticket.kind, tenant, id: id as string },
  at = now,
): string => {
  try {
    verifier.verify(bytes, expected, at);
  } catch (error) {
    return codeOf(error);
  }
  return 'genuine';
};

test('a genuine ticket gives back what was signed', () => {
  assert.deepEqual(verifier.verify(signTicket(ticket, ingress), { kind: 'crypto', tenant, id }, now), ticket);
});

test('no flipped bit and no cut passes', () => {
  const bytes = signTicket(ticket, ingress);
  for (let at = 0; at < bytes.length; at++) {
    const flipped = Buffer.from(bytes);
    flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
    assert.notEqual(codeOfVerifying(flipped), 'genuine', `byte ${at}`);
  }
  for (let length = 0; length < bytes.length; length += 7) {
    assert.notEqual(codeOfVerifying(bytes.subarray(0, length)), 'genuine', `cut at ${length}`);
  }
  assert.equal(codeOfVerifying(Buffer.concat([bytes, Buffer.from([0])])), 'ticket-invalid');
  assert.equal(codeOfVerifying(randomBytes(100_000)), 'ticket-invalid');
});

test('a ticket is good for its own kind, tenant and id only', () => {
  const bytes = signTicket(ticket, ingress);
  assert.equal(codeOfVerifying(bytes, { kind: 'delivery', tenant, id }), 'ticket-invalid');
  assert.equal(codeOfVerifying(bytes, { kind: 'crypto', tenant: tenantId('beta'), id }), 'ticket-invalid');
  assert.equal(codeOfVerifying(bytes, { kind: 'crypto', tenant, id: newMessageId(now) }), 'ticket-invalid');
});

test('a stage signs only the kinds of its role, under its own role', () => {
  assert.equal(codeOfVerifying(signTicket(ticket, worker)), 'ticket-invalid');
  assert.equal(codeOfVerifying(signTicket(ticket, { ...worker, role: 'ingress' })), 'ticket-invalid');
  const delivery: Ticket = { ...ticket, kind: 'delivery' };
  const expected = { kind: delivery.kind, tenant, id: id as string };
  assert.equal(codeOfVerifying(signTicket(delivery, worker), expected), 'genuine');
  assert.equal(codeOfVerifying(signTicket(delivery, ingress), expected), 'ticket-invalid');
});

test('certificates of another CA, of the CA itself, or for another purpose are refused', () => {
  assert.equal(codeOfVerifying(signTicket(ticket, makeSigner('ingress', 'stranger'))), 'ticket-invalid');
  const ca: TicketSigner = { role: 'ingress', certificate: authority, privateKey: privateKeyOf('ca') };
  assert.equal(codeOfVerifying(signTicket(ticket, ca)), 'ticket-invalid');
  const service = makeSigner('ingress', 'ca', 'URI:sealpost://service/ingress/one');
  assert.equal(codeOfVerifying(signTicket(ticket, service)), 'ticket-invalid');
  const twoNames = makeSigner(
    'ingress',
    'ca',
    'URI:sealpost://ticket/ingress/one,URI:sealpost://ticket/crypto-worker/one',
  );
  assert.equal(codeOfVerifying(signTicket(ticket, twoNames)), 'ticket-invalid');
  assert.ok(stranger.length > 0);
});

test('age counts from acceptance, and time outside the certificate or in the future is refused', () => {
  const later = new Date(now.getTime() + 5 * dayMs + 1);
  assert.equal(codeOfVerifying(signTicket(ticket, ingress), undefined, later), 'ticket-expired');
  const postdated = new Date(now.getTime() + 3_600_000);
  assert.equal(codeOfVerifying(signTicket({ ...ticket, issuedAt: postdated }, ingress)), 'ticket-invalid');
  const beforeBirth = new Date(now.getTime() - 3 * dayMs);
  const old: Ticket = { ...ticket, acceptedAt: beforeBirth, issuedAt: beforeBirth };
  assert.equal(codeOfVerifying(signTicket(old, ingress)), 'ticket-invalid');
});

function makeAuthority(name: string): Buffer {
  openssl('genpkey', '-algorithm', 'ed25519', '-out', `${name}.key`);
  openssl(
    'req',
    '-x509',
    '-new',
    '-key',
    `${name}.key`,
    '-subj',
    `/CN=${name}`,
    '-days',
    '30',
    '-outform',
    'DER',
    '-out',
    `${name}.der`,
  );
  return readFileSync(inDirectory(`${name}.der`));
}

function privateKeyOf(name: string): KeyObject {
  return createPrivateKey(readFileSync(inDirectory(`${name}.key`)));
}

function makeSigner(role: ServiceRole, issuer: string, names = `URI:sealpost://ticket/${role}/one`): TicketSigner {
  const { privateKey } = generateKeyPairSync('ed25519');
  writeFileSync(inDirectory('stage.pub'), createPublicKey(privateKey).export({ format: 'pem', type: 'spki' }));
  writeFileSync(inDirectory('names.cnf'), `subjectAltName=${names}\n`);
  openssl(
    'x509',
    '-new',
    '-force_pubkey',
    'stage.pub',
    '-subj',
    `/CN=${role}`,
    '-CA',
    `${issuer}.der`,
    '-CAform',
    'DER',
    '-CAkey',
    `${issuer}.key`,
    '-days',
    '10',
    '-extfile',
    'names.cnf',
    '-outform',
    'DER',
    '-out',
    'stage.der',
  );
  return { role, certificate: readFileSync(inDirectory('stage.der')), privateKey };
}
