// RFC 9180 base mode against an independent implementation, both ways.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import { rawPublicKey, SealpostError, setupReceiver, setupSender } from '../src/index.ts';

const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
const info = Buffer.from('what this is for');
const pieces = ['first', '', 'third '.repeat(1000)].map((text) => Buffer.from(text));
const aad = Buffer.from('aad');

const bytes = (buffer: Buffer): ArrayBuffer => new Uint8Array(buffer).buffer;

test('the other implementation opens what we seal', async () => {
  const keys = generateKeyPairSync('x25519');
  const sender = setupSender(keys.publicKey, info);
  const sealed = pieces.map((piece) => sender.seal(aad, piece));
  const recipientKey = await suite.kem.deserializePrivateKey(
    bytes(keys.privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32)),
  );
  const recipient = await suite.createRecipientContext({
    recipientKey,
    enc: bytes(sender.encapsulated),
    info: bytes(info),
  });
  for (const [index, piece] of pieces.entries()) {
    assert.deepEqual(Buffer.from(await recipient.open(bytes(sealed[index] ?? Buffer.alloc(0)), bytes(aad))), piece);
  }
});

test('we open what the other implementation seals', async () => {
  const keys = generateKeyPairSync('x25519');
  const recipientPublicKey = await suite.kem.deserializePublicKey(bytes(rawPublicKey(keys.publicKey)));
  const sender = await suite.createSenderContext({ recipientPublicKey, info: bytes(info) });
  const receiver = setupReceiver(Buffer.from(sender.enc), keys.privateKey, info);
  for (const piece of pieces) {
    assert.deepEqual(receiver.open(aad, Buffer.from(await sender.seal(bytes(piece), bytes(aad)))), piece);
  }
});

test('what both sides derive from a context is what the other implementation derives', async () => {
  const keys = generateKeyPairSync('x25519');
  const sender = setupSender(keys.publicKey, info);
  const receiver = setupReceiver(sender.encapsulated, keys.privateKey, info);
  const recipientKey = await suite.kem.deserializePrivateKey(
    bytes(keys.privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32)),
  );
  const other = await suite.createRecipientContext({
    recipientKey,
    enc: bytes(sender.encapsulated),
    info: bytes(info),
  });
  for (const piece of pieces) {
    const derived = Buffer.from(await other.export(bytes(piece), 32));
    assert.deepEqual(sender.export(piece), derived);
    assert.deepEqual(receiver.export(piece), derived);
  }
});

test('another info, another aad, another order or a damaged key opens nothing', () => {
  const keys = generateKeyPairSync('x25519');
  const sender = setupSender(keys.publicKey, info);
  const [first, second] = [sender.seal(aad, Buffer.from('a')), sender.seal(aad, Buffer.from('b'))];
  const malformed = (error: unknown) => error instanceof SealpostError && error.code === 'sealed-malformed';
  const receiver = (usedInfo: Buffer) => setupReceiver(sender.encapsulated, keys.privateKey, usedInfo);
  assert.throws(() => receiver(Buffer.from('else')).open(aad, first), malformed);
  assert.throws(() => receiver(info).open(Buffer.from('else'), first), malformed);
  assert.throws(() => receiver(info).open(aad, second), malformed);
  assert.throws(() => receiver(info).open(aad, Buffer.alloc(3)), malformed);
  assert.throws(() => setupReceiver(Buffer.alloc(32), keys.privateKey, info), malformed, 'a low-order point');
  assert.throws(() => setupReceiver(Buffer.alloc(31), keys.privateKey, info), malformed);
});
