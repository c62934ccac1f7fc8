// Keys that are never lent: the worker signs and opens through the key service, the mail is the same, and no private key comes near
// the worker.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type CertificateRecord, fail } from '@sealpost/core';
import { parseCertificate } from '@sealpost/smime';
import { ownKeys } from '../src/key-port.ts';
import { alpha, beta, type Gateway, startGateway } from './gateway.ts';
import { encrypted, openssl, pem } from './openssl.ts';

let gateway: Gateway;
let bob: CertificateRecord;
before(async () => {
  gateway = await startGateway();
  gateway.run();
  const alice = gateway.keys.addIdentity(alpha, 'alice@alpha.test', { algorithm: 'rsa' });
  bob = gateway.keys.addIdentity(beta, 'bob@beta.test', { algorithm: 'rsa' }).decryption;
  for (const { keyId } of [alice.signing, bob]) if (keyId) gateway.keys.inPlace.add(keyId);
});
after(() => gateway[Symbol.asyncDispose]());

const text = 'Content-Type: text/plain; charset=utf-8\r\n\r\nHello\r\n';

test('outbound mail is signed where the key is; OpenSSL verifies', async () => {
  const message = `From: alice@alpha.test\r\nTo: bob@partner.test\r\nSubject: Offer\r\nMIME-Version: 1.0\r\n${text}`;
  const [delivery] = await gateway.send({ direction: 'outbound', to: ['bob@partner.test'], message });
  const ca = pem(gateway.keys.authority(alpha).certificate.der);
  const verify = ['cms', '-verify', '-in', '@mail', '-CAfile', '@ca', '-purpose', 'smimesign'];
  assert.match(openssl(verify, { mail: delivery?.message ?? Buffer.alloc(0), ca }).toString(), /Hello/);
  assert.equal(gateway.keys.uses.length, 1);
  assert.deepEqual(gateway.keys.leases, []);
});

test('inbound mail is opened where the key is; damaged mail goes on unchanged', async () => {
  const receive = async (body: string): Promise<string> => {
    const message = `From: alice@partner.test\r\nTo: bob@beta.test\r\n${body}`;
    const [delivery] = await gateway.send({ direction: 'inbound', to: ['bob@beta.test'], message });
    return delivery?.message.toString() ?? '';
  };
  const body = encrypted(text, [bob.certificate]);
  assert.match(await receive(body), /encrypted=yes[\s\S]*Hello/);
  // The encrypted key stands behind the recipient's name, near the beginning.
  const lines = body.split('\r\n');
  const damaged = lines.with(7, [...(lines[7] ?? '')].reverse().join('')).join('\r\n');
  assert.match(await receive(damaged), /result=undecryptable/);
  assert.deepEqual(gateway.keys.leases, []);
});

test('an outage of the key service reaches the pipeline as what it is, and not as mail that cannot be opened', async () => {
  assert.ok(bob.keyId);
  const certificate = parseCertificate(bob.certificate);
  const envelope = { mailFrom: '', headerFrom: '', recipients: [], eightBit: false, smtpUtf8: false, salt: '' };
  const away = async (): Promise<never> => {
    throw fail('key-service-unavailable');
  };
  const lease = async (): Promise<never> => {
    throw fail('key-in-place');
  };
  const keys = { lease, sign: away, openRecipients: away };
  const port = ownKeys([{ certificate, keyId: bob.keyId }], keys, { ticketBytes: Buffer.alloc(0), envelope });
  const asked = port.openRecipient({ certificate, recipientInfo: Buffer.alloc(8), keyLength: 32 });
  await assert.rejects(async () => asked, { code: 'key-service-unavailable' });
});
