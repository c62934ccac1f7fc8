// Somebody who can write to Redis and the blob store but holds no stage's key: whatever they do to a message ends in quarantine with
// an alert, and no key is leased for it.

import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { after, before, test } from 'node:test';
import {
  type CryptoJob,
  type ErrorCode,
  encodePlan,
  fail,
  sealBytes,
  sealMessage,
  signTicket,
  TICKET_PURPOSE,
  type Ticket,
  type TicketSigner,
  ticketBytes,
  ticketHash,
  ticketText,
  ticketVerifier,
} from '@sealpost/core';
import { issueCertificate } from '@sealpost/smime';
import { manualClock } from '@sealpost/testkit';
import { alpha, beta, type Gateway, startGateway, ticketLifeMs } from './gateway.ts';

let gateway: Gateway;
const clock = manualClock(new Date());
before(async () => {
  gateway = await startGateway(clock);
  gateway.keys.addIdentity(alpha, 'alice@alpha.test');
  gateway.run();
});
after(() => gateway[Symbol.asyncDispose]());

const message = 'From: alice@alpha.test\r\nTo: bob@partner.test\r\n\r\nHello\r\n';
const mail = { direction: 'outbound', to: ['bob@partner.test'], message } as const;

async function ticketOf(job: CryptoJob): Promise<Ticket> {
  const verifier = ticketVerifier(await gateway.worker.keys.ticketAuthorities(), ticketLifeMs);
  return verifier.verify(ticketBytes(job), { kind: 'crypto', tenant: job.tenant, id: job.id }, clock.now());
}

/** A signer of the attacker's own, with a certificate that looks like a stage's. */
function forgedSigner(role: TicketSigner['role']): TicketSigner {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const certificate = issueCertificate({
    subject: { commonName: 'Sealpost service CA' },
    uris: [`sealpost://ticket/${role}/forged`],
    publicKey,
    notBefore: new Date(Date.now() - 1_000),
    notAfter: new Date(Date.now() + 1e9),
    profile: { purpose: TICKET_PURPOSE },
    issuer: { certificate: 'self', privateKey },
  });
  return { role, certificate: certificate.der, privateKey };
}

/** The blob of a message sealed by the attacker: the public spool key is no secret. */
async function resealed(job: CryptoJob, recipients: readonly string[]): Promise<Buffer> {
  const { keyId, publicKey } = await gateway.keys.as('ingress').spoolPublicKey(job.tenant, 'crypto');
  const envelope = {
    mailFrom: 'alice@alpha.test',
    headerFrom: 'alice@alpha.test',
    recipients: recipients.map((address) => ({ address })),
    eightBit: false,
    smtpUtf8: false,
    salt: 'salt',
  };
  const context = { keyId, tenant: job.tenant, id: job.id, stage: 'crypto' } as const;
  return sealMessage({ envelope, message: Buffer.from(message) }, context, publicKey);
}

const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest();

/** A stored plan: everything to the attacker, signed by `signer`. */
async function planRecord(job: CryptoJob, signer: TicketSigner, changed: Partial<Ticket> = {}): Promise<Buffer> {
  const { keyId, publicKey } = await gateway.keys.as('ingress').spoolPublicKey(job.tenant, 'crypto');
  const plan = { direction: 'outbound', groups: [{ id: 'g0', recipients: [0], action: { do: 'pass' } }] } as const;
  const context = { keyId, tenant: job.tenant, id: `${job.id}.plan`, stage: 'crypto' } as const;
  const sealed = sealBytes([encodePlan(plan)], context, publicKey);
  const ticket = signTicket(
    {
      ...(await ticketOf(job)),
      kind: 'plan',
      blobHash: sha256(sealed),
      keyId,
      previous: ticketHash(ticketBytes(job)),
      ...changed,
    },
    signer,
  );
  const length = Buffer.alloc(2);
  length.writeUInt16BE(ticket.length);
  return Buffer.concat([length, ticket, sealed]);
}

const attacks: Record<string, { code: ErrorCode; attack(job: CryptoJob): Promise<CryptoJob> }> = {
  'a ticket signed by a key that the service CA never certified': {
    code: 'ticket-invalid',
    attack: async (job) => ({ ...job, ticket: ticketText(signTicket(await ticketOf(job), forgedSigner('ingress'))) }),
  },
  'a ticket signed by another stage': {
    code: 'ticket-invalid',
    attack: async (job) => ({
      ...job,
      ticket: ticketText(signTicket(await ticketOf(job), await gateway.keys.as('egress').ticketSigner())),
    }),
  },
  "another message's ticket": {
    code: 'ticket-invalid',
    attack: async (job) => ({ ...job, ticket: (await gateway.prepare(mail)).ticket }),
  },
  'another tenant': { code: 'ticket-invalid', attack: async (job) => ({ ...job, tenant: beta }) },
  'a ticket with one bit changed': {
    code: 'ticket-invalid',
    attack: async (job) => {
      const bytes = ticketBytes(job);
      bytes[60] = (bytes[60] ?? 0) ^ 1;
      return { ...job, ticket: ticketText(bytes) };
    },
  },
  "another message's blob": {
    code: 'blob-mismatch',
    attack: async (job) => {
      const other = await gateway.blobs.get((await gateway.prepare(mail)).id);
      assert.ok(other);
      await gateway.blobs.put(job.id, other);
      return job;
    },
  },
  'a redirected envelope in a blob sealed anew': {
    code: 'blob-mismatch',
    attack: async (job) => {
      await gateway.blobs.put(job.id, await resealed(job, ['mallory@evil.test']));
      return job;
    },
  },
  'no blob': {
    code: 'blob-missing',
    attack: async (job) => {
      await gateway.blobs.remove(job.id);
      return job;
    },
  },
  'a plan signed by a forged worker': {
    code: 'ticket-invalid',
    attack: async (job) => {
      await gateway.blobs.put(`plan-${job.id}`, await planRecord(job, forgedSigner('crypto-worker')));
      return job;
    },
  },
  'a plan signed by ingress': {
    code: 'ticket-invalid',
    attack: async (job) => {
      await gateway.blobs.put(`plan-${job.id}`, await planRecord(job, await gateway.keys.as('ingress').ticketSigner()));
      return job;
    },
  },
  'a genuine plan that follows another ticket': {
    code: 'plan-invalid',
    attack: async (job) => {
      const signer = await gateway.worker.keys.ticketSigner();
      await gateway.blobs.put(`plan-${job.id}`, await planRecord(job, signer, { previous: Buffer.alloc(32) }));
      return job;
    },
  },
  'a genuine plan ticket over another plan': {
    code: 'plan-invalid',
    attack: async (job) => {
      const signer = await gateway.worker.keys.ticketSigner();
      const record = await planRecord(job, signer);
      const other = await planRecord(job, signer);
      const cut = (bytes: Buffer): number => 2 + bytes.readUInt16BE(0);
      const mixed = Buffer.concat([record.subarray(0, cut(record)), other.subarray(cut(other))]);
      await gateway.blobs.put(`plan-${job.id}`, mixed);
      return job;
    },
  },
  "another message's genuine plan": {
    code: 'ticket-invalid',
    attack: async (job) => {
      const other = await gateway.prepare(mail);
      const record = await planRecord(other, await gateway.worker.keys.ticketSigner());
      await gateway.blobs.put(`plan-${job.id}`, record);
      return job;
    },
  },
  'a plan that is no plan': {
    code: 'plan-invalid',
    attack: async (job) => {
      await gateway.blobs.put(`plan-${job.id}`, Buffer.from('x'));
      return job;
    },
  },
  'a forged release': {
    code: 'ticket-invalid',
    attack: async (job) => ({
      ...job,
      release: ticketText(signTicket({ ...(await ticketOf(job)), kind: 'release' }, forgedSigner('key-service'))),
    }),
  },
  'a release by a stage': {
    code: 'ticket-invalid',
    attack: async (job) => ({
      ...job,
      release: ticketText(
        signTicket({ ...(await ticketOf(job)), kind: 'release' }, await gateway.worker.keys.ticketSigner()),
      ),
    }),
  },
  "a release of the same message's other bytes": {
    code: 'ticket-invalid',
    attack: async (job) => ({
      ...job,
      release: ticketText(gateway.keys.release({ ...(await ticketOf(job)), blobHash: sha256(Buffer.from('else')) })),
    }),
  },
};

for (const [what, { code, attack }] of Object.entries(attacks)) {
  test(`quarantine and alert: ${what}`, async () => {
    const leasesBefore = gateway.keys.leases.length;
    const job = await attack(await gateway.prepare(mail));
    await gateway.publish(job);
    const { deliveries, quarantined } = await gateway.settled(job.id);
    assert.equal(quarantined?.code, code);
    assert.deepEqual(deliveries, []);
    assert.equal(gateway.keys.leases.length, leasesBefore, 'no key was leased');
    const alert = gateway.events.find(({ name, fields }) => name === 'alert.authenticity' && fields.message === job.id);
    assert.equal(alert?.fields.code, code);
  });
}

test('a key that the ticket does not justify is refused: quarantine and alert', async () => {
  const worker = gateway.worker;
  await gateway.stopWorker();
  gateway.run({ keys: { ...worker.keys, lease: async () => Promise.reject(fail('key-denied')) } });
  const job = await gateway.prepare(mail);
  await gateway.publish(job);
  const { deliveries, quarantined } = await gateway.settled(job.id);
  assert.equal(quarantined?.code, 'key-denied');
  assert.deepEqual(deliveries, []);
  await gateway.stopWorker();
  gateway.run();
});

test('a finished message replayed with its ticket and blob delivers nothing new', async () => {
  const job = await gateway.prepare(mail);
  const blob = await gateway.blobs.get(job.id);
  assert.ok(blob);
  await gateway.publish(job);
  const { deliveries } = await gateway.settled(job.id);
  assert.equal(deliveries.length, 1);
  for (const { id } of deliveries) await gateway.redis.client.del(`{sealpost}:delivery:${id}`);
  await gateway.blobs.put(job.id, blob);
  await gateway.publish(job);
  assert.deepEqual((await gateway.settled(job.id)).deliveries, []);
});

test('a ticket older than mail may be in the queue is refused', async () => {
  const job = await gateway.prepare(mail);
  clock.advance(ticketLifeMs + 1_000);
  await gateway.publish(job);
  const { deliveries, quarantined } = await gateway.settled(job.id);
  assert.equal(quarantined?.code, 'ticket-expired');
  assert.deepEqual(deliveries, []);
});
