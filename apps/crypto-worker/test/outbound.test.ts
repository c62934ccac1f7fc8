// Outbound mail through the real queue: what left is verified and decrypted by OpenSSL, and nothing leaves with less protection than
// the policy and the certificates allow.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type CertificateRecord, tenantId } from '@sealpost/core';
import { parseMailboxes, readHeaders } from '@sealpost/smime';
import { memoryKeyService } from '@sealpost/testkit';
import { alpha, type Delivered, type Gateway, startGateway, usualPolicy } from './gateway.ts';
import { keyPem, openssl, pem } from './openssl.ts';

let gateway: Gateway;
before(async () => {
  gateway = await startGateway();
  gateway.run();
  gateway.keys.addIdentity(alpha, 'alice@alpha.test', { algorithm: 'rsa' });
});
after(() => gateway[Symbol.asyncDispose]());

const head =
  'From: Alice <alice@alpha.test>\r\nTo: bob@partner.test, carol@partner.test\r\nSubject: Offer\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@alpha.test>\r\n';
const mail = `${head}MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n.\r\nFrom here\r\n`;

/** A partner's keys are made by the same CA here; the gateway holds the certificate only. */
function partner(address: string, algorithm: 'rsa' | 'ec' = 'rsa', notAfter?: Date): CertificateRecord {
  return gateway.keys.addPartner(alpha, address, { algorithm, ...(notAfter ? { notAfter } : {}) });
}

/** The content, if OpenSSL finds the signature good and made with a certificate of the tenant's CA. */
function verifySigned(message: Buffer): string {
  const ca = pem(gateway.keys.authority(alpha).certificate.der);
  return openssl(['cms', '-verify', '-in', '@mail', '-CAfile', '@ca', '-purpose', 'smimesign'], {
    mail: message,
    ca,
  }).toString();
}

function decrypt(message: Buffer, { certificate, keyId }: CertificateRecord): Buffer {
  assert.ok(keyId);
  return openssl(['cms', '-decrypt', '-in', '@mail', '-recip', '@certificate', '-inkey', '@key'], {
    mail: message,
    certificate: pem(certificate),
    key: keyPem(gateway.keys.privateKey(keyId)),
  });
}

const outer = (message: Buffer): string[] =>
  readHeaders(message)
    .filter(({ name }) => !name.startsWith('content-') && name !== 'mime-version')
    .map(({ raw }) => raw.toString());

const addressesOf = ({ envelope }: Delivered): string[] => envelope.recipients.map(({ address }) => address);

test('signed and encrypted for two partners who share the bytes; OpenSSL decrypts with either key and verifies', async () => {
  const bob = partner('bob@partner.test');
  const carol = partner('carol@partner.test', 'ec');
  const [delivery, ...others] = await gateway.send({
    direction: 'outbound',
    to: ['bob@partner.test', 'carol@partner.test'],
    message: mail,
  });
  assert.ok(delivery);
  assert.deepEqual(others, []);
  assert.deepEqual(addressesOf(delivery), ['bob@partner.test', 'carol@partner.test']);
  assert.deepEqual(outer(delivery.message), outer(Buffer.from(mail)), 'outer fields byte for byte');
  assert.ok(!delivery.message.includes('Grüße'));
  assert.equal(delivery.envelope.eightBit, false);
  for (const record of [bob, carol]) {
    const content = verifySigned(decrypt(delivery.message, record));
    assert.match(content, /Content-Type: text\/plain; charset=utf-8/);
    assert.match(content, /Gr=C3=BC=C3=9Fe/);
  }
});

test('a recipient without certificate gets it signed only, in a delivery of its own', async () => {
  partner('bob@partner.test');
  const deliveries = await gateway.send({
    direction: 'outbound',
    to: ['bob@partner.test', 'nobody@else.test'],
    message: mail,
  });
  assert.deepEqual(deliveries.map(addressesOf), [['bob@partner.test'], ['nobody@else.test']]);
  const plain = deliveries[1];
  assert.ok(plain);
  assert.match(plain.message.toString(), /multipart\/signed; protocol="application\/pkcs7-signature"/);
  verifySigned(plain.message);
});

test('a colleague whose key we hold gets the mail signed only: encrypted it could be read by nobody there', async () => {
  gateway.keys.addIdentity(alpha, 'carla@alpha.test');
  partner('bob@partner.test');
  const to = ['carla@alpha.test', 'bob@partner.test'];
  const deliveries = await gateway.send({ direction: 'outbound', to, message: mail });
  const inside = deliveries.find((delivery) => addressesOf(delivery).includes('carla@alpha.test'));
  assert.ok(inside);
  assert.deepEqual(addressesOf(inside), ['carla@alpha.test']);
  assert.match(verifySigned(inside.message), /Gr=C3=BC=C3=9Fe|R3LDvMOfZQ/);
});

test('Bcc recipients each have a ciphertext of their own that names nobody else', async () => {
  for (const name of ['bob', 'dora', 'emil']) partner(`${name}@partner.test`);
  const to = ['bob@partner.test', 'dora@partner.test', 'emil@partner.test'];
  const deliveries = await gateway.send({ direction: 'outbound', to, message: mail });
  assert.deepEqual(deliveries.map(addressesOf), [['bob@partner.test'], ['dora@partner.test'], ['emil@partner.test']]);
  for (const { message } of deliveries) {
    const structure = openssl(['cms', '-cmsout', '-print', '-in', '@mail'], { mail: message }).toString();
    assert.equal(structure.match(/d\.(ktri|kari):/g)?.length, 1);
  }
});

test('the newest valid certificate is used; an expired duplicate does not stand in the way', async () => {
  const valid = partner('frida@partner.test');
  partner('frida@partner.test', 'rsa', new Date(Date.now() - 60_000));
  const [delivery] = await gateway.send({ direction: 'outbound', to: ['frida@partner.test'], message: mail });
  assert.ok(delivery);
  verifySigned(decrypt(delivery.message, valid));
});

test('a recipient whose only certificate expired or has no path is one without certificate; a pinned one needs no path', async () => {
  partner('gone@partner.test', 'rsa', new Date(Date.now() - 60_000));
  const unknown = stranger('stranger@partner.test');
  gateway.keys.addCertificate(alpha, { ...unknown, address: 'stranger@partner.test', pinned: false });
  gateway.keys.addCertificate(alpha, { ...unknown, address: 'pinned@partner.test', pinned: true });
  const to = ['gone@partner.test', 'stranger@partner.test', 'pinned@partner.test'];
  const deliveries = await gateway.send({ direction: 'outbound', to, message: mail });
  const encrypted = deliveries.filter(({ message }) => message.includes('enveloped-data'));
  assert.deepEqual(encrypted.map(addressesOf), [['pinned@partner.test']]);
});

/** A certificate of another CA than any that the tenant trusts. */
function stranger(address: string): CertificateRecord {
  const elsewhere = memoryKeyService({ now: () => new Date() });
  const { keyId, ...known } = elsewhere.addPartner(tenantId('other'), address, { algorithm: 'rsa' });
  return known;
}

for (const [kind, fields] of Object.entries({
  calendar: 'Content-Type: text/calendar; method=REQUEST\r\n',
  report: 'Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n',
  'auto-reply': 'Auto-Submitted: auto-replied\r\nContent-Type: text/plain\r\n',
  pgp: 'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b\r\n',
  protected: 'Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\n',
})) {
  test(`exempt by policy and unchanged: ${kind}`, async () => {
    const message = `${head}MIME-Version: 1.0\r\n${fields}\r\n--b\r\n\r\nBEGIN\r\n--b--\r\n`;
    const [delivery] = await gateway.send({ direction: 'outbound', to: ['bob@partner.test'], message });
    assert.equal(delivery?.message.toString(), message);
  });
}

test('PGP inline is left alone; what the policy does not exempt is protected', async () => {
  const inline = `${head}\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nhQ\r\n-----END PGP MESSAGE-----\r\n`;
  const [left] = await gateway.send({ direction: 'outbound', to: ['bob@partner.test'], message: inline });
  assert.equal(left?.message.toString(), inline);
  gateway.policy = { ...usualPolicy, outbound: { ...usualPolicy.outbound, exempt: [] } };
  const [treated] = await gateway.send({ direction: 'outbound', to: ['bob@partner.test'], message: inline });
  gateway.policy = usualPolicy;
  assert.ok(treated?.message.includes('pkcs7-mime'));
});

test('a sender without key: unsigned where the policy allows, else returned', async () => {
  const message = mail.replaceAll('alice@alpha.test', 'nokey@alpha.test');
  const [plain] = await gateway.send({
    direction: 'outbound',
    from: 'nokey@alpha.test',
    to: ['nobody@else.test'],
    message,
  });
  assert.equal(plain?.message.toString(), message);
  assert.equal(plain?.envelope.eightBit, true);
  gateway.policy = { ...usualPolicy, outbound: { ...usualPolicy.outbound, sign: 'always' } };
  const [report] = await gateway.send({
    direction: 'outbound',
    from: 'nokey@alpha.test',
    to: ['nobody@else.test'],
    message,
  });
  gateway.policy = usualPolicy;
  assert.ok(report);
  assert.equal(report.ticket.direction, 'inbound');
  assert.equal(report.ticket.source, 'gateway');
  assert.equal(report.envelope.mailFrom, '');
  assert.deepEqual(addressesOf(report), ['nokey@alpha.test']);
  assert.match(report.message.toString(), /report-type=delivery-status/);
  assert.ok(!report.message.includes('Grüße'), 'no body in a report');
});

test('policy bounce: partners get their mail, the sender a report about the others; NOTIFY=NEVER gets none', async () => {
  partner('bob@partner.test');
  gateway.policy = { ...usualPolicy, outbound: { ...usualPolicy.outbound, withoutCertificate: 'bounce' } };
  const deliveries = await gateway.send({
    direction: 'outbound',
    to: [],
    message: mail,
    envelope: {
      recipients: [
        { address: 'bob@partner.test' },
        { address: 'one@else.test', orcpt: 'rfc822;one@else.test' },
        { address: 'two@else.test', notify: ['NEVER'] },
      ],
      envid: 'QQ314159',
    },
  });
  gateway.policy = usualPolicy;
  assert.equal(gateway.counted('sealpost_bounces_total', 'crypto', 'recipient-without-certificate'), 1);
  assert.deepEqual(deliveries.map(addressesOf), [['bob@partner.test'], ['alice@alpha.test']]);
  const report = deliveries[1]?.message.toString() ?? '';
  assert.match(report, /Final-Recipient: rfc822; one@else\.test\r\nAction: failed\r\nStatus: 5\.7\.5/);
  assert.match(report, /Original-Envelope-Id: QQ314159/);
  assert.match(report, /Original-Recipient: rfc822; one@else\.test/);
  assert.ok(!report.includes('two@else.test'));
  assert.deepEqual(parseMailboxes(/^From: (.*)$/m.exec(report)?.[1] ?? ''), ['postmaster@gateway.test']);
});

test("policy bounce with the null sender: set aside, and let go unprotected on an operator's word", async () => {
  gateway.policy = { ...usualPolicy, outbound: { ...usualPolicy.outbound, withoutCertificate: 'bounce' } };
  partner('bob@partner.test');
  const job = await gateway.prepare({
    direction: 'outbound',
    mailFrom: '',
    to: ['bob@partner.test', 'x@else.test'],
    message: mail,
  });
  await gateway.publish(job);
  const first = await gateway.settled(job.id);
  assert.equal(first.quarantined?.code, 'unprotected-null-sender');
  assert.deepEqual(first.deliveries.map(addressesOf), [['bob@partner.test']], 'the others went');
  const sent = first.deliveries[0]?.ticket.blobHash;
  assert.equal(await gateway.release(job), true);
  const second = await gateway.settled(job.id);
  gateway.policy = usualPolicy;
  assert.equal(second.quarantined, undefined);
  assert.deepEqual(second.deliveries.map(addressesOf), [['bob@partner.test'], ['x@else.test']]);
  assert.deepEqual(second.deliveries[0]?.ticket.blobHash, sent, 'what was sent is not sent again');
  assert.equal(second.deliveries[1]?.message.toString(), mail);
});

for (const [what, fields] of Object.entries({
  'a multipart without boundary': 'Content-Type: multipart/mixed\r\n',
  'a multipart without parts': 'Content-Type: multipart/mixed; boundary=other\r\n',
  'two Content-Type fields': 'Content-Type: text/plain\r\nContent-Type: text/html\r\n',
  'more parts than the limit': `Content-Type: multipart/mixed; boundary=b\r\n\r\n${'--b\r\n\r\nx\r\n'.repeat(3000)}`,
})) {
  test(`broken MIME is set aside, never sent unprotected: ${what}`, async () => {
    const job = await gateway.prepare({
      direction: 'outbound',
      to: ['bob@partner.test'],
      message: `${head}${fields}\r\n--b\r\n\r\nx\r\n--b--\r\n`,
    });
    await gateway.publish(job);
    const { deliveries, quarantined } = await gateway.settled(job.id);
    assert.deepEqual(deliveries, []);
    assert.equal(quarantined?.code, 'message-malformed');
  });
}

test('after the end neither blob nor plan is left, and the same job again does nothing', async () => {
  const job = await gateway.prepare({ direction: 'outbound', to: ['nobody@else.test'], message: mail });
  await gateway.publish(job);
  const { deliveries } = await gateway.settled(job.id);
  assert.equal(await gateway.blobs.get(job.id), undefined);
  assert.equal(await gateway.blobs.get(`plan-${job.id}`), undefined);
  await gateway.publish(job);
  const again = await gateway.settled(job.id);
  assert.deepEqual(
    again.deliveries.map(({ ticket }) => ticket.blobHash),
    deliveries.map(({ ticket }) => ticket.blobHash),
  );
});
