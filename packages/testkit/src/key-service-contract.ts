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
  type OpeningItem,
  openBytes,
  type SigningItem,
  sealBytes,
  signTicket,
  type TenantId,
  type Ticket,
  type TicketSigner,
  tenantId,
  ticketVerifier,
} from '@sealpost/core';
import { type KeyPort, localKeys, open, parseCertificate, protect } from '@sealpost/smime';

/** One installation with the tenants `alpha` (alpha.test) and `beta` (beta.test). */
export interface KeyServiceSubject {
  as(role: 'ingress' | 'crypto-worker' | 'egress'): KeyService;
  addIdentity(tenant: TenantId, address: string): Promise<void> | void;
  close(): Promise<void> | void;
}

const mail = Buffer.from(
  'From: alice@alpha.test\r\nTo: bob@beta.test\r\nSubject: Hello\r\nContent-Type: text/plain\r\n\r\nDear Bob\r\n',
);
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

  test(`${name}: a key signs where it is, complete signed attributes only`, async () => {
    const keyId = await keyOf(alpha, 'alice@alpha.test', 'signing');
    const record = (await worker.certificates(alpha, 'alice@alpha.test')).find((each) => each.keyId === keyId);
    const certificate = parseCertificate(record?.certificate ?? Buffer.alloc(0));
    const justification = ticketFor(await ingress.ticketSigner());
    const asked: SigningItem[] = [];
    const keys: KeyPort = {
      async sign({ algorithm, signedAttributes }) {
        const item = { certificate: certificate.fingerprint, ...algorithm, signedAttributes };
        asked.push(item);
        const [signature] = await worker.sign(keyId, justification, [item]);
        return signature ?? assert.fail('no signature');
      },
      openRecipient: () => undefined,
    };
    const made = await protect(mail, { keys, sign: { certificate }, now: new Date() });
    const trust = (await worker.trustAnchors(alpha)).map((der) => parseCertificate(der));
    const read = await open(made, { keys: localKeys([]), recipients: [], trust, at: new Date() });
    assert.ok(read.kind === 'opened' && read.verdict.verified);

    const [item] = asked;
    assert.ok(item);
    assert.equal((await worker.sign(keyId, justification, [item, item])).length, 2);
    const changes: readonly Partial<SigningItem>[] = [
      { signedAttributes: item.signedAttributes.subarray(0, -1) },
      { signedAttributes: certificate.der },
      { signedAttributes: Buffer.alloc(32, 7) },
      { digest: 'sha512' },
      { scheme: 'ed25519' },
      { certificate: '0'.repeat(64) as SigningItem['certificate'] },
    ];
    for (const change of changes) {
      await assert.rejects(worker.sign(keyId, justification, [item, { ...item, ...change }]), denied);
    }
  });

  test(`${name}: a key opens RecipientInfos where it is, and says no more than that one does not open`, async () => {
    const keyId = await keyOf(beta, 'bob@beta.test', 'decryption');
    const record = (await worker.certificates(beta, 'bob@beta.test')).find((each) => each.keyId === keyId);
    const certificate = parseCertificate(record?.certificate ?? Buffer.alloc(0));
    const inbound = { tenant: beta, direction: 'inbound', from: 'x@y.test', to: 'bob@beta.test' } as const;
    const justification = ticketFor(await ingress.ticketSigner(), inbound);
    const encrypt = { recipients: [certificate] };
    const made = await protect(mail, { keys: localKeys([]), encrypt, now: new Date() });
    const asked: OpeningItem[] = [];
    const keys: KeyPort = {
      sign: () => assert.fail('nothing is signed'),
      async openRecipient({ recipientInfo, keyLength }) {
        asked.push({ recipientInfo, keyLength });
        return (await worker.openRecipients(keyId, justification, [{ recipientInfo, keyLength }]))[0];
      },
    };
    const read = await open(made, { keys, recipients: [certificate], trust: [], at: new Date() });
    assert.ok(read.kind === 'opened' && read.message.includes('Dear Bob'));

    const [item] = asked;
    assert.ok(item);
    const damaged = Buffer.from(item.recipientInfo);
    damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
    const bad = [damaged, item.recipientInfo.subarray(0, -1), Buffer.alloc(0), certificate.der];
    const items = [item, ...bad.map((recipientInfo) => ({ ...item, recipientInfo })), { ...item, keyLength: 5 }];
    const [good, ...others] = await worker.openRecipients(keyId, justification, items);
    assert.equal(good?.length, item.keyLength);
    assert.deepEqual(others, [undefined, undefined, undefined, undefined, undefined]);
  });

  test(`${name}: a key is used in place for the same mail as it is lent for, and for no other`, async () => {
    const signer = await ingress.ticketSigner();
    const signs = await keyOf(alpha, 'alice@alpha.test', 'signing');
    const decrypts = await keyOf(beta, 'bob@beta.test', 'decryption');
    const items = [{ recipientInfo: Buffer.alloc(8), keyLength: 32 }];
    const toBob = { tenant: beta, direction: 'inbound', from: 'x@y.test', to: 'bob@beta.test' } as const;
    assert.deepEqual(await worker.openRecipients(decrypts, ticketFor(signer, toBob), items), [undefined]);
    for (const other of [ingress, egress]) {
      await assert.rejects(other.openRecipients(decrypts, ticketFor(signer, toBob), items), denied);
    }
    await assert.rejects(worker.openRecipients(decrypts, ticketFor(signer), items), denied);
    await assert.rejects(worker.openRecipients(signs, ticketFor(signer, toBob), items), denied);
    const toCarol = ticketFor(signer, { ...toBob, to: 'carol@beta.test' });
    await assert.rejects(worker.openRecipients(decrypts, toCarol, items), denied);
    const forged = ticketFor(await worker.ticketSigner(), toBob);
    await assert.rejects(worker.openRecipients(decrypts, forged, items), (error) => codeOf(error) === 'ticket-invalid');
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
