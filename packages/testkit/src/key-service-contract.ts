// What every form of the KeyService port does, the real one over mTLS and the memory twin alike.

import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { after, before, test } from 'node:test';
import {
  codeOf,
  type Envelope,
  envelopeHash,
  type KeyId,
  type KeyService,
  newMessageId,
  openBytes,
  sealBytes,
  signTicket,
  type TenantId,
  type Ticket,
  type TicketSigner,
  tenantId,
  ticketVerifier,
} from '@sealpost/core';
import { parseCertificate } from '@sealpost/smime';

/** One installation with the tenants `alpha` (alpha.test) and `beta` (beta.test). */
export interface KeyServiceSubject {
  as(role: 'ingress' | 'crypto-worker' | 'egress'): KeyService;
  addIdentity(tenant: TenantId, address: string): Promise<void> | void;
  close(): Promise<void> | void;
}

const alpha = tenantId('alpha');
const beta = tenantId('beta');
const denied = (error: unknown): boolean => codeOf(error) === 'key-denied';

interface Mail {
  readonly tenant?: TenantId;
  readonly direction?: 'outbound' | 'inbound';
  readonly from?: string;
  readonly to?: string;
  readonly change?: Partial<Ticket>;
}

function ticketFor(signer: TicketSigner, mail: Mail = {}): { ticket: Buffer; envelope: Envelope; id: string } {
  const { tenant = alpha, direction = 'outbound', from = 'alice@alpha.test', to = 'bob@beta.test' } = mail;
  const recipients = [{ address: to }];
  const envelope = { mailFrom: from, headerFrom: from, recipients, eightBit: false, smtpUtf8: false, salt: 'salt' };
  const now = new Date();
  const id = newMessageId(now);
  const ticket: Ticket = {
    kind: 'crypto',
    tenant,
    id,
    direction,
    source: 'contract',
    envelopeHash: envelopeHash(envelope),
    acceptedAt: now,
    issuedAt: now,
    blobHash: Buffer.alloc(32),
    keyId: `${tenant}/stage.crypto/spool/1` as KeyId,
    previous: Buffer.alloc(0),
    ...mail.change,
  };
  return { ticket: signTicket(ticket, signer), envelope, id };
}

/** Registers the suite's tests. */
export function keyServiceContract(name: string, make: () => Promise<KeyServiceSubject> | KeyServiceSubject): void {
  let subject: KeyServiceSubject;
  let ingress: KeyService;
  let worker: KeyService;
  let egress: KeyService;

  before(async () => {
    subject = await make();
    await subject.addIdentity(alpha, 'alice@alpha.test');
    await subject.addIdentity(alpha, 'carol@alpha.test');
    await subject.addIdentity(beta, 'bob@beta.test');
    ingress = subject.as('ingress');
    worker = subject.as('crypto-worker');
    egress = subject.as('egress');
  });
  after(() => subject.close());

  const keyOf = async (tenant: TenantId, address: string, use: string): Promise<KeyId> => {
    const found = (await worker.certificates(tenant, address)).find(({ keyId }) => keyId?.includes(`/${use}/`));
    return found?.keyId ?? assert.fail('no key');
  };

  test(`${name}: what is sealed to a stage's spool key is opened by that stage alone`, async () => {
    for (const [stage, reader, other] of [
      ['crypto', worker, egress],
      ['delivery', egress, worker],
    ] as const) {
      const { keyId, publicKey } = await ingress.spoolPublicKey(alpha, stage);
      const context = { keyId, tenant: alpha, id: 'm', stage };
      const sealed = sealBytes([Buffer.from('mail')], context, publicKey);
      assert.equal(openBytes(sealed, context, await reader.spoolPrivateKey(keyId)).toString(), 'mail');
      await assert.rejects(other.spoolPrivateKey(keyId), denied);
      await assert.rejects(ingress.spoolPrivateKey(keyId), denied);
    }
  });

  test(`${name}: tickets of a stage are believed for its role`, async () => {
    const verifier = ticketVerifier(await egress.ticketAuthorities(), 60_000);
    const { ticket, id } = ticketFor(await ingress.ticketSigner());
    assert.equal(verifier.verify(ticket, { kind: 'crypto', tenant: alpha, id }, new Date()).source, 'contract');
    const wrong = ticketFor(await worker.ticketSigner());
    const expected = { kind: 'crypto', tenant: alpha, id: wrong.id } as const;
    assert.throws(
      () => verifier.verify(wrong.ticket, expected, new Date()),
      (error) => codeOf(error) === 'ticket-invalid',
    );
  });

  test(`${name}: marker keys are the same for every egress and for nobody else`, async () => {
    const [key] = await egress.markerKeys(alpha);
    assert.equal(key?.length, 32);
    assert.deepEqual((await subject.as('egress').markerKeys(alpha))[0], key);
    assert.notDeepEqual((await egress.markerKeys(beta))[0], key);
    await assert.rejects(worker.markerKeys(alpha), denied);
  });

  test(`${name}: certificates are found by tenant and address, whatever the case`, async () => {
    const records = await worker.certificates(alpha, 'ALICE@alpha.TEST');
    assert.deepEqual(records.map(({ keyId }) => keyId?.split('/')[2]).sort(), ['decryption', 'signing']);
    for (const record of records) {
      assert.equal(record.fingerprint, parseCertificate(record.certificate).fingerprint);
      assert.equal(record.pinned, false);
      assert.deepEqual(record.chain.slice(-1), (await worker.trustAnchors(alpha)).slice(0, 1));
    }
    assert.deepEqual(await worker.certificates(beta, 'alice@alpha.test'), []);
    assert.deepEqual(await worker.certificates(alpha, '"odd one"@alpha.test'), []);
  });

  test(`${name}: a lease holds the key of the certificate`, async () => {
    const keyId = await keyOf(alpha, 'alice@alpha.test', 'signing');
    const lease = await worker.lease(keyId, ticketFor(await ingress.ticketSigner()));
    const record = (await worker.certificates(alpha, 'alice@alpha.test')).find((each) => each.keyId === keyId);
    assert.ok(record && createPublicKey(lease.privateKey).equals(parseCertificate(record.certificate).publicKey));
    assert.ok(lease.expiresAt > new Date());

    const inbound = { tenant: beta, direction: 'inbound', from: 'x@y.test', to: 'Bob@beta.test' } as const;
    const decrypts = await keyOf(beta, 'bob@beta.test', 'decryption');
    assert.equal((await worker.lease(decrypts, ticketFor(await ingress.ticketSigner(), inbound))).keyId, decrypts);
  });

  test(`${name}: a key is lent to the crypto worker alone, for mail from or to its owner alone`, async () => {
    const signer = await ingress.ticketSigner();
    const signs = await keyOf(alpha, 'alice@alpha.test', 'signing');
    const decrypts = await keyOf(alpha, 'alice@alpha.test', 'decryption');
    const carol = await keyOf(alpha, 'carol@alpha.test', 'signing');
    for (const other of [ingress, egress]) await assert.rejects(other.lease(signs, ticketFor(signer)), denied);
    await assert.rejects(worker.lease(carol, ticketFor(signer)), denied);
    await assert.rejects(worker.lease(decrypts, ticketFor(signer)), denied);
    await assert.rejects(worker.lease(`${alpha}/nobody%40alpha.test/signing/1` as KeyId, ticketFor(signer)), denied);
    const toAlice = { direction: 'inbound', from: 'x@y.test', to: 'alice@alpha.test' } as const;
    await assert.rejects(worker.lease(carol, ticketFor(signer, toAlice)), denied);
    await assert.rejects(worker.lease(carol, ticketFor(signer, { tenant: beta, from: 'carol@alpha.test' })), denied);
  });

  test(`${name}: a ticket that is not genuine, or names another envelope, gives no key`, async () => {
    const carol = await keyOf(alpha, 'carol@alpha.test', 'signing');
    const signer = await ingress.ticketSigner();
    const own = ticketFor(signer, { from: 'carol@alpha.test' });
    const { envelope } = ticketFor(signer, { from: 'carol@alpha.test', to: 'other@gamma.test' });
    const byWorker = ticketFor(await worker.ticketSigner(), { from: 'carol@alpha.test' });
    await assert.rejects(worker.lease(carol, { ...own, envelope }), (error) => codeOf(error) === 'envelope-mismatch');
    await assert.rejects(worker.lease(carol, byWorker), (error) => codeOf(error) === 'ticket-invalid');
    const changed = Buffer.from(own.ticket);
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    await assert.rejects(
      worker.lease(carol, { ...own, ticket: changed }),
      (error) => codeOf(error) === 'ticket-invalid',
    );
  });
}
