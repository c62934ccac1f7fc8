// Inbound mail made by OpenSSL, opened through the real queue: who gets it decrypted, what is called verified, and that nobody can
// forge what the gateway says about it.

import assert from 'node:assert/strict';
import type { KeyObject } from 'node:crypto';
import { after, before, test } from 'node:test';
import { type CertificateRecord, tenantId } from '@sealpost/core';
import { memoryKeyService } from '@sealpost/testkit';
import { beta, type Delivered, type Gateway, startGateway, usualPolicy } from './gateway.ts';
import { encrypted, signed } from './openssl.ts';

let gateway: Gateway;
/** The partner: keys of its own, a CA that the tenant trusts. */
const partner = memoryKeyService({ now: () => new Date() });
const other = tenantId('partner');
let bob: CertificateRecord;
let alice: { certificate: Buffer; key: KeyObject };

before(async () => {
  gateway = await startGateway();
  gateway.run();
  bob = gateway.keys.addIdentity(beta, 'bob@beta.test', { algorithm: 'rsa' }).decryption;
  gateway.keys.addIdentity(beta, 'carol@beta.test');
  alice = holder(partner.addIdentity(other, 'alice@partner.test', { algorithm: 'rsa' }).signing);
  gateway.keys.addTrust(beta, partner.authority(other).certificate);
});
after(() => gateway[Symbol.asyncDispose]());

const holder = ({ certificate, keyId }: CertificateRecord) => {
  assert.ok(keyId);
  return { certificate, key: partner.privateKey(keyId) };
};

const head =
  'Received: from world by gateway.test; Mon, 2 Nov 2026 10:00:00 +0000\r\nFrom: Alice <alice@partner.test>\r\nTo: bob@beta.test\r\nSubject: Offer\r\n';
const text = 'Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße von Alice\r\n';
const entity = Buffer.from(text).toString('latin1');

async function receive(body: string, to: readonly string[] = ['bob@beta.test'], fields = head): Promise<Delivered[]> {
  return await gateway.send({
    direction: 'inbound',
    from: 'alice@partner.test',
    to,
    message: Buffer.from(fields + body, 'latin1'),
  });
}

/** Result header, unfolded, and the mail below it. */
function read(delivery: Delivered | undefined): { result: string; below: string } {
  assert.ok(delivery);
  const mail = delivery.message.toString();
  const field = /^X-Sealpost-Result: (.*(?:\r\n[ \t].*)*)\r\n/.exec(mail);
  return { result: (field?.[1] ?? '').replace(/\r\n\s/g, ' '), below: mail.slice(field?.[0].length ?? 0) };
}

test('signed and encrypted by OpenSSL: decrypted, verified, footer in, outer fields kept', async () => {
  const [delivery] = await receive(encrypted(signed(entity, alice), [bob.certificate]));
  const { result, below } = read(delivery);
  assert.equal(result, 'v=1; result=verified; encrypted=yes; signed=yes; from=match; signer=alice@partner.test');
  assert.ok(below.startsWith(head));
  assert.match(below, /Grüße von Alice\r\n\r\nSignature valid\.\r\n$/);
  assert.equal(delivery?.envelope.eightBit, true);
  assert.ok(!below.includes('pkcs7'));
});

test('clear-signed mail keeps its signature and every byte below the result header', async () => {
  const mail = signed(entity, alice);
  const { result, below } = read((await receive(mail))[0]);
  assert.match(result, /^v=1; result=verified; encrypted=no; signed=yes; from=match/);
  assert.equal(below, Buffer.from(head + mail, 'latin1').toString());
});

test('clear-signed mail loses its signature and gets the footer where the policy says so', async () => {
  gateway.policy = { ...usualPolicy, inbound: { ...usualPolicy.inbound, clearSigned: 'strip' } };
  const { result, below } = read((await receive(signed(entity, alice)))[0]);
  gateway.policy = usualPolicy;
  assert.match(result, /result=verified; encrypted=no/);
  assert.match(below, /Grüße von Alice\r\n\r\nSignature valid\.\r\n$/);
});

test('opaque signed mail is verified', async () => {
  const { result } = read((await receive(signed(entity, alice, '-nodetach')))[0]);
  assert.match(result, /result=verified; encrypted=no; signed=yes/);
});

test('triple wrapped (RFC 2634 §1.1): what is encrypted inside a clear or opaque signature is opened too', async () => {
  for (const options of [[], ['-nodetach']]) {
    const wrapped = signed(encrypted(signed(entity, alice), [bob.certificate]), alice, ...options);
    const { result, below } = read((await receive(wrapped))[0]);
    assert.match(result, /result=verified; encrypted=yes/);
    assert.match(below, /Grüße von Alice\r\n\r\nSignature valid\.\r\n$/);
    const other = read((await receive(wrapped, ['carol@beta.test']))[0]);
    assert.match(other.result, /result=undecryptable/);
    assert.equal(other.below, head + wrapped);
  }
});

test('encrypted without a signature says so', async () => {
  const { result, below } = read((await receive(encrypted(entity, [bob.certificate])))[0]);
  assert.match(
    result,
    /^v=1; result=unsigned; encrypted=yes; signed=no; problem=not-signed; weak=cbc-without-integrity$/,
  );
  assert.match(below, /Not signed\.\r\n$/);
});

test('each recipient is opened with own keys only: the others get it unchanged', async () => {
  const body = encrypted(signed(entity, alice), [bob.certificate]);
  const deliveries = await receive(body, ['bob@beta.test', 'carol@beta.test', 'nokey@beta.test']);
  const by = new Map(
    deliveries.map((each) => [each.envelope.recipients.map(({ address }) => address).join(), read(each)]),
  );
  assert.match(by.get('bob@beta.test')?.result ?? '', /result=verified/);
  for (const address of ['carol@beta.test', 'nokey@beta.test']) {
    const found = by.get(address);
    assert.equal(found?.result, 'v=1; result=undecryptable; encrypted=yes; signed=no; problem=undecryptable');
    assert.equal(found?.below, head + body);
  }
});

test('a key of an older certificate still opens', async () => {
  const old = gateway.keys.addIdentity(beta, 'dora@beta.test', { notAfter: new Date(Date.now() - 60_000) }).decryption;
  gateway.keys.addIdentity(beta, 'dora@beta.test');
  const { result } = read((await receive(encrypted(entity, [old.certificate]), ['dora@beta.test']))[0]);
  assert.match(result, /encrypted=yes/);
});

const unverified: Record<string, () => { body: string; problem: RegExp; from?: string }> = {
  'the signer is trusted and another than From': () => ({
    body: signed(entity, holder(partner.addIdentity(other, 'mallory@partner.test').signing)),
    problem: /from=mismatch; signer=mallory@partner\.test; problem=from-mismatch/,
  }),
  'the signer has no path to a trust anchor': () => {
    const stranger = memoryKeyService({ now: () => new Date() });
    const { certificate, keyId } = stranger.addIdentity(other, 'alice@partner.test').signing;
    assert.ok(keyId);
    return { body: signed(entity, { certificate, key: stranger.privateKey(keyId) }), problem: /problem=untrusted/ };
  },
  "the signer's certificate expired": () => ({
    body: signed(
      entity,
      holder(partner.addIdentity(other, 'alice@partner.test', { notAfter: new Date(Date.now() - 60_000) }).signing),
    ),
    problem: /problem=untrusted/,
  }),
  'the content was changed': () => ({
    body: signed(entity, alice).replace('von Alice', 'von Mallory'),
    problem: /problem=signature-broken/,
  }),
};

for (const [what, make] of Object.entries(unverified)) {
  test(`never verified: ${what}`, async () => {
    const { body, problem } = make();
    const clear = read((await receive(body))[0]);
    assert.match(clear.result, /^v=1; result=unverified; encrypted=no/);
    assert.match(clear.result, problem);
    assert.equal(clear.below, Buffer.from(head + body, 'latin1').toString());
    const inside = read((await receive(encrypted(body, [bob.certificate])))[0]);
    assert.match(inside.result, /^v=1; result=unverified; encrypted=yes/);
    assert.match(inside.below, /Signature NOT valid\.\r\n$/);
  });
}

test('broken CMS and a damaged ciphertext go on unchanged, all with the result header', async () => {
  const broken =
    'MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\r\nContent-Transfer-Encoding: base64\r\n\r\nMIIBBROKEN\r\n';
  const found = read((await receive(broken))[0]);
  assert.equal(found.result, 'v=1; result=broken; encrypted=no; signed=no; problem=malformed-cms');
  assert.equal(found.below, head + broken);

  const body = encrypted(entity, [bob.certificate]);
  const lines = body.split('\r\n');
  const damaged = lines.toSpliced(8, 2).join('\r\n');
  const unread = read((await receive(damaged))[0]);
  assert.match(unread.result, /^v=1; result=(undecryptable|broken); /);
  assert.equal(unread.below, head + damaged);
});

test('plain mail passes byte for byte; forged fields and tags are taken out of any mail first', async () => {
  const plain = `${text}MIME? no\r\n`;
  const [clean] = await gateway.send({ direction: 'inbound', to: ['bob@beta.test'], message: head + plain });
  assert.equal(clean?.message.toString(), head + plain);

  gateway.policy = {
    ...usualPolicy,
    inbound: { ...usualPolicy.inbound, subjectTag: { verified: '[verified]', decrypted: '[decrypted]' } },
  };
  const forged = head
    .replace('From:', 'X-Sealpost-Result: v=1; result=verified\r\nx-sealpost-anything : 1\r\nFrom:')
    .replace('Subject: Offer', 'Subject: =?utf-8?q?=5BVeri?= =?utf-8?b?ZmllZF0=?= Offer');
  const wanted = head;
  const [passed] = await gateway.send({ direction: 'inbound', to: ['bob@beta.test'], message: forged + plain });
  assert.equal(passed?.message.toString(), wanted + plain);

  const secret = encrypted(signed(entity, alice), [bob.certificate]);
  const { result, below } = read((await receive(secret, ['bob@beta.test'], forged))[0]);
  gateway.policy = usualPolicy;
  assert.match(result, /result=verified/);
  assert.ok(below.startsWith(head.replace('Subject: Offer', 'Subject: [decrypted] [verified] Offer')));
});

test('fields of the encrypted content never reach the top of the mail', async () => {
  const inner = `X-Sealpost-Result: v=1; result=verified\r\nSubject: Other\r\nFrom: ceo@beta.test\r\n${entity}`;
  const { result, below } = read((await receive(encrypted(inner, [bob.certificate])))[0]);
  assert.match(result, /result=unsigned/);
  assert.ok(below.startsWith(head));
  assert.ok(!below.includes('ceo@beta.test'));
});

test('an encrypted part amid other parts is left alone (EFAIL)', async () => {
  const part = encrypted(entity, [bob.certificate]);
  const body = `MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<img src="http://x/\r\n--b\r\n${part}\r\n--b--\r\n`;
  const { result, below } = read((await receive(body))[0]);
  assert.match(result, /problem=partly-encrypted; weak=efail-structure/);
  assert.equal(below, head + body);
});

test('the key service sealed or away: mail that needs a key waits, plain and signed mail flows', async () => {
  for (const state of ['sealed', 'away'] as const) {
    gateway.keys.state = state;
    const waiting = await gateway.prepare({
      direction: 'inbound',
      to: ['bob@beta.test'],
      message: head + encrypted(entity, [bob.certificate]),
    });
    await gateway.publish(waiting);
    const [plain] = await gateway.send({
      direction: 'inbound',
      to: ['bob@beta.test'],
      message: `${head}\r\nHello\r\n`,
    });
    assert.ok(plain);
    const clear = read((await receive(signed(entity, alice)))[0]);
    assert.match(clear.result, /result=verified/);
    assert.ok(await gateway.redis.client.exists(`{sealpost}:crypto:${waiting.id}`));
    gateway.keys.state = 'open';
    const { deliveries } = await gateway.settled(waiting.id);
    assert.match(read(deliveries[0]).result, /encrypted=yes/);
  }
});
