// Who gets which private key for which message, over real TLS: only the crypto worker, only for a genuine ticket, only the key of
// somebody whom the mail is from or to; sealed to the one who asked, on record, capped, and ended.

import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, sign, verify, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import {
  codeOf,
  type Envelope,
  encodeEnvelope,
  type KeyId,
  type KeyService,
  TICKET_PURPOSE,
  type Ticket,
  type TicketSigner,
  tenantId,
} from '@sealpost/core';
import { ephemeralBytes, type KeyAnswer, type KeyConnection, KeyFault, openKey } from '@sealpost/service';
import { issueCertificate, parseCertificate } from '@sealpost/smime';
import { type Mail, type RunningKeyService, runKeyService, ticketFor } from './running-key-service.ts';

const alice = 'alpha/alice%40alpha.test/signing/1' as KeyId;
const aliceDecrypts = 'alpha/alice%40alpha.test/decryption/1' as KeyId;
const carol = 'alpha/carol%40alpha.test/signing/1' as KeyId;
const bob = 'beta/bob%40beta.test/decryption/1' as KeyId;
const perClient = 60;

let service: RunningKeyService;
let worker: KeyConnection;
let ingress: KeyService;
let signer: TicketSigner;

before(async () => {
  service = await runKeyService({ keyServer: { leases: { seconds: 60, perClient } } });
  const operator = service.call('operator');
  for (const address of ['Alice@alpha.test', 'carol@alpha.test', 'bob@beta.test']) {
    await operator.call('identity-add', { address, algorithm: 'p-256' });
  }
  worker = service.call('crypto-worker');
  ingress = service.as('ingress');
  signer = await ingress.ticketSigner();
});

after(() => service[Symbol.asyncDispose]());

interface Asked {
  readonly answer: KeyAnswer<'lease'>;
  readonly ephemeral: KeyObject;
}

async function ask(keyId: string, ticket: Buffer, envelope: Envelope | Buffer): Promise<Asked> {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const answer = await worker.call('lease', {
    instance: 'w1',
    keyId,
    ephemeral: ephemeralBytes(publicKey),
    ticket,
    envelope: Buffer.isBuffer(envelope) ? envelope : encodeEnvelope(envelope),
  });
  return { answer, ephemeral: privateKey };
}

/** `ok`, or the code of the refusal. */
async function outcome(keyId: string, ticket: Buffer, envelope: Envelope | Buffer): Promise<string> {
  try {
    await ask(keyId, ticket, envelope);
    return 'ok';
  } catch (error) {
    return error instanceof KeyFault ? error.code : codeOf(error);
  }
}

const outcomeOf = (keyId: string, mail: Mail, by = signer): Promise<string> => {
  const { ticket, envelope } = ticketFor(by, mail);
  return outcome(keyId, ticket, envelope);
};

test('the key that is leased is the one of the certificate, and opens for its request only', async () => {
  const { ticket, envelope } = ticketFor(signer);
  const { answer, ephemeral } = await ask(alice, ticket, envelope);
  const binding = { instance: 'w1', purpose: 'lease', ...answer } as const;
  const pkcs8 = openKey(answer.sealed, binding, ephemeral);
  const { records } = await worker.call('certificates', { tenant: 'alpha', address: 'alice@alpha.test' });
  const record = records.find(({ keyId }) => keyId === alice);
  assert.ok(record);
  const signature = sign('sha256', Buffer.from('mail'), { key: pkcs8, format: 'der', type: 'pkcs8' });
  assert.ok(verify('sha256', Buffer.from('mail'), new X509Certificate(record.certificate).publicKey, signature));

  const later = new Date(answer.expiresAt.getTime() + 1);
  const wrong = [{ instance: 'w2' }, { keyId: carol }, { leaseId: 'x' }, { purpose: 'spool' }, { expiresAt: later }];
  for (const change of wrong) {
    assert.throws(() => openKey(answer.sealed, { ...binding, ...change } as typeof binding, ephemeral));
  }
  assert.throws(() => openKey(answer.sealed, binding, generateKeyPairSync('x25519').privateKey));
});

test('leases that are asked for together are judged, sealed and recorded each by itself', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const asked = [{}, { from: 'carol@alpha.test' }, { from: 'mallory@alpha.test' }, {}].map((mail) => {
    const { ticket, envelope, id } = ticketFor(signer, mail);
    return { id, item: { keyId: alice, ticket, envelope: encodeEnvelope(envelope) } };
  });
  const items = asked.map(({ item }) => item);
  const damaged = { ...(items[0] ?? assert.fail()), keyId: 'no key id' };
  const request = { instance: 'w1', ephemeral: ephemeralBytes(publicKey), items: [...items, damaged] };
  const { leases } = await worker.call('leases', request);
  const codes = leases.map(({ lease, code }) => (lease ? 'ok' : code));
  assert.deepEqual(codes, ['ok', 'key-denied', 'key-denied', 'ok', 'request-malformed']);
  for (const { lease } of leases) {
    if (lease) assert.ok(openKey(lease.sealed, { instance: 'w1', purpose: 'lease', ...lease }, privateKey).length > 0);
  }
  assert.equal(new Set(leases.map(({ lease }) => lease?.leaseId)).size, 3);
  const log = readFileSync(service.config.keyServer.audit.file, 'utf8').split('\n');
  for (const { id } of asked) {
    const kinds = log.filter((line) => line.includes(`"${id}"`)).map((line) => /"kind":"(\w+)"/.exec(line)?.[1]);
    assert.deepEqual(kinds, ['intent', 'outcome']);
  }
  await assert.rejects(worker.call('leases', { ...request, items: [] }), KeyFault);
  await assert.rejects(
    worker.call('leases', { ...request, items: Array.from({ length: 33 }, () => damaged) }),
    KeyFault,
  );
});

test('outbound mail justifies the signing key of its From address, and no other key', async () => {
  assert.equal(await outcomeOf(alice, {}), 'ok');
  assert.equal(await outcomeOf(alice, { from: 'ALICE@Alpha.test' }), 'ok');
  assert.equal(await outcomeOf(carol, {}), 'key-denied');
  assert.equal(await outcomeOf(aliceDecrypts, {}), 'key-denied');
  assert.equal(await outcomeOf(alice, { from: 'mallory@alpha.test', to: ['alice@alpha.test'] }), 'key-denied');
  assert.equal(await outcomeOf(alice, { from: '' }), 'key-denied');
  assert.equal(await outcomeOf(bob, { to: ['bob@beta.test'] }), 'key-denied');
});

test('inbound mail justifies the decryption keys of its recipients, and no other key', async () => {
  const inbound: Mail = { tenant: 'beta', direction: 'inbound', from: '', to: ['dave@beta.test', 'Bob@beta.test'] };
  assert.equal(await outcomeOf(bob, inbound), 'ok');
  assert.equal(await outcomeOf(bob, { ...inbound, to: ['dave@beta.test'] }), 'key-denied');
  assert.equal(await outcomeOf('beta/bob%40beta.test/signing/1', inbound), 'key-denied');
});

test('a ticket of one tenant gives no key of another, and keys that do not exist are refused alike', async () => {
  assert.equal(await outcomeOf(alice, { tenant: 'beta' }), 'key-denied');
  assert.equal(await outcomeOf(bob, { tenant: 'alpha', direction: 'inbound', to: ['bob@beta.test'] }), 'key-denied');
  assert.equal(await outcomeOf('alpha/nobody%40alpha.test/signing/1', { from: 'nobody@alpha.test' }), 'key-denied');
  assert.equal(await outcomeOf('alpha/alice%40alpha.test/signing/2', {}), 'key-denied');
});

test('keys of the gateway itself are never leased to a message', async () => {
  for (const keyId of [
    'alpha/ca.internal/ca/1',
    'alpha/stage.crypto/spool/1',
    'alpha/marker/mac/1',
    'installation/service-ca/ca/1',
  ]) {
    assert.equal(await outcomeOf(keyId, { from: 'ca.internal' }), 'key-denied', keyId);
  }
});

test("an envelope that is not the ticket's is refused, whatever it names", async () => {
  const { ticket, envelope } = ticketFor(signer, { from: 'mallory@alpha.test' });
  assert.equal(await outcome(alice, ticket, { ...envelope, headerFrom: 'alice@alpha.test' }), 'envelope-mismatch');
  assert.equal(await outcome(alice, ticket, Buffer.from('{}')), 'envelope-mismatch');
  assert.equal(
    await outcome(alice, ticket, Buffer.from(` ${encodeEnvelope(envelope).toString()}`)),
    'envelope-mismatch',
  );
});

test('a ticket that was changed anywhere is not genuine', async () => {
  const { ticket, envelope } = ticketFor(signer);
  for (let at = 0; at < ticket.length; at += 17) {
    const changed = Buffer.from(ticket);
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.match(await outcome(alice, changed, envelope), /^(ticket-invalid|version-unsupported)$/, `byte ${at}`);
  }
  for (const cut of [0, 1, 2, 40, ticket.length - 1]) {
    assert.match(await outcome(alice, ticket.subarray(0, cut), envelope), /^(ticket-invalid|version-unsupported)$/);
  }
});

test('only the ingress signs tickets for the crypto stage', async () => {
  for (const role of ['crypto-worker', 'egress'] as const) {
    const other = await service.as(role).ticketSigner();
    assert.equal(await outcomeOf(alice, {}, other), 'ticket-invalid', role);
    assert.equal(await outcomeOf(alice, {}, { ...other, role: 'ingress' }), 'ticket-invalid', `${role} as ingress`);
  }
  assert.equal(await outcomeOf(alice, {}, forgedSigner()), 'ticket-invalid');
});

test('tickets for other things, too old, and from the future are refused; the same one again is not', async () => {
  assert.equal(await outcomeOf(alice, { change: { kind: 'delivery' } as Partial<Ticket> }), 'ticket-invalid');
  const days = (count: number): Date => new Date(Date.now() + count * 86_400_000);
  assert.equal(await outcomeOf(alice, { acceptedAt: days(-36) }), 'ticket-expired');
  assert.equal(await outcomeOf(alice, { acceptedAt: days(-30) }), 'ok');
  assert.equal(await outcomeOf(alice, { change: { issuedAt: days(1) } }), 'ticket-invalid');
  const { ticket, envelope } = ticketFor(signer);
  assert.equal(await outcome(alice, ticket, envelope), 'ok');
  assert.equal(await outcome(alice, ticket, envelope), 'ok');
});

test('an ephemeral key of low order or wrong length gets nothing', async () => {
  const { ticket, envelope } = ticketFor(signer);
  for (const ephemeral of [Buffer.alloc(32), Buffer.alloc(31, 1), Buffer.alloc(0)]) {
    const asked = worker.call('lease', {
      instance: 'w1',
      keyId: alice,
      ephemeral,
      ticket,
      envelope: encodeEnvelope(envelope),
    });
    await assert.rejects(asked, (error) => error instanceof KeyFault && error.code === 'request-malformed');
  }
});

test('a stage gets the private key of the spool that it reads, and of no other', async () => {
  const ephemeral = ephemeralBytes(generateKeyPairSync('x25519').publicKey);
  const spoolKey = async (role: 'crypto-worker' | 'egress', keyId: string): Promise<string> => {
    try {
      await service.call(role).call('spool-private-key', { instance: 'i', keyId, ephemeral });
      return 'ok';
    } catch (error) {
      return error instanceof KeyFault ? error.code : codeOf(error);
    }
  };
  assert.equal(await spoolKey('crypto-worker', 'alpha/stage.crypto/spool/1'), 'ok');
  assert.equal(await spoolKey('egress', 'beta/stage.delivery/spool/1'), 'ok');
  assert.equal(await spoolKey('crypto-worker', 'alpha/stage.delivery/spool/1'), 'key-denied');
  assert.equal(await spoolKey('egress', 'alpha/stage.crypto/spool/1'), 'key-denied');
  assert.equal(await spoolKey('egress', alice), 'key-denied');
  assert.equal(await spoolKey('crypto-worker', 'alpha/stage.crypto/spool/2'), 'key-denied');
  assert.equal(await spoolKey('crypto-worker', 'not a key'), 'request-malformed');
});

test('a release is signed for a genuine ticket of a message, and names it', async () => {
  const operator = service.call('operator');
  const { ticket, id } = ticketFor(signer);
  const { ticket: release } = await operator.call('release-ticket', { message: id, ticket });
  assert.ok(release.includes('release'));
  const [forged, other] = [ticketFor(forgedSigner()), ticketFor(signer)];
  for (const refused of [
    { message: forged.id, ticket: forged.ticket },
    { message: id, ticket: other.ticket },
  ]) {
    await assert.rejects(operator.call('release-ticket', refused), (error) => codeOf(error) === 'ticket-invalid');
  }
});

test('every lease and every refusal is on record, with the address as a keyed hash', async () => {
  const { ticket, envelope, id } = ticketFor(signer);
  assert.equal(await outcome(alice, ticket, envelope), 'ok');
  assert.equal(await outcome(carol, ticket, envelope), 'key-denied');
  const log = readFileSync(service.config.keyServer.audit.file, 'utf8');
  const records = log
    .split('\n')
    .filter((line) => line.includes(id))
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    records.map(({ kind, result }) => [kind, result]),
    [
      ['intent', undefined],
      ['outcome', 'ok'],
      ['intent', undefined],
      ['outcome', 'key-denied'],
    ],
  );
  assert.equal(records[0].request, records[1].request);
  assert.match(records[1].key, /^alpha\/[0-9a-f]{32}\/signing\/1$/);
  assert.match(records[1].until, /^2/);
  assert.doesNotMatch(log, /alice|bob@|carol/i);
});

test('a client has only so many leases at a time', async () => {
  const { ticket, envelope } = ticketFor(signer);
  const answers = await Promise.all(Array.from({ length: perClient + 1 }, () => outcome(alice, ticket, envelope)));
  assert.ok(answers.includes('lease-overloaded'));
  assert.ok(answers.every((answer) => answer === 'ok' || answer === 'lease-overloaded'));
});

/** A signer with all the right names under a CA of its own. */
function forgedSigner(): TicketSigner {
  const ca = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const stage = generateKeyPairSync('ed25519');
  const times = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };
  const subject = { commonName: 'Sealpost service CA', organization: 'Sealpost' };
  const root = issueCertificate({
    subject,
    publicKey: ca.publicKey,
    profile: 'ca',
    issuer: { certificate: 'self', privateKey: ca.privateKey },
    ...times,
  });
  const certificate = issueCertificate({
    subject: { commonName: 'ingress tickets' },
    uris: ['sealpost://ticket/ingress/one'],
    publicKey: stage.publicKey,
    profile: { purpose: TICKET_PURPOSE },
    issuer: { certificate: parseCertificate(root.der), privateKey: ca.privateKey },
    ...times,
  });
  return { role: 'ingress', certificate: certificate.der, privateKey: stage.privateKey };
}

test('tenants of the configuration have their keys from the start', async () => {
  for (const tenant of ['alpha', 'beta']) {
    const { keyId } = await ingress.spoolPublicKey(tenantId(tenant), 'crypto');
    assert.equal(keyId, `${tenant}/stage.crypto/spool/1`);
    assert.equal((await service.as('egress').markerKeys(tenantId(tenant)))[0]?.length, 32);
  }
});
