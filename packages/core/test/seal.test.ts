// The sealed spool: what goes in comes out, for its own context only, and no cut, swap or flipped bit passes.

import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import {
  codeOf,
  type Envelope,
  formatKeyId,
  newMessageId,
  newSpoolSession,
  openBytes,
  openMessage,
  parseKeyId,
  type SealContext,
  sealBytes,
  sealedKeyId,
  sealMessage,
  tenantId,
  x25519PrivateKey,
} from '../src/index.ts';

const keys = generateKeyPairSync('x25519');
const tenant = tenantId('alpha');
const context: SealContext = {
  keyId: formatKeyId({ tenant, identity: 'stage.crypto', use: 'spool', version: 1 }),
  tenant,
  id: newMessageId(new Date(1_700_000_000_000)),
  stage: 'crypto',
};
const envelope: Envelope = {
  mailFrom: 'alice@alpha.test',
  headerFrom: 'alice@alpha.test',
  recipients: [{ address: 'bob@beta.test', notify: ['FAILURE'], orcpt: 'rfc822;bob@beta.test' }],
  eightBit: true,
  smtpUtf8: false,
  salt: 'salt',
};
const chunk = 64 * 1024;
const codeThrownBy = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return codeOf(error);
  }
  return 'nothing was thrown';
};

test('messages of every size around the chunk borders come back identical', () => {
  const overhead = sealMessage({ envelope, message: Buffer.alloc(0) }, context, keys.publicKey).length;
  assert.ok(overhead < 1024);
  for (const size of [0, 1, chunk - 300, chunk - 1, chunk, chunk + 1, 2 * chunk, 3 * chunk + 17]) {
    const message = randomBytes(size);
    const opened = openMessage(sealMessage({ envelope, message }, context, keys.publicKey), context, keys.privateKey);
    assert.ok(opened.message.equals(message), `size ${size}`);
    assert.deepEqual(opened.envelope, envelope);
  }
});

test('nothing of message or envelope shows in the sealed bytes, but the key id does', () => {
  const sealed = sealMessage({ envelope, message: Buffer.from('a very secret sentence') }, context, keys.publicKey);
  for (const text of ['secret', 'alice', 'bob@beta.test']) assert.equal(sealed.indexOf(text), -1);
  assert.equal(sealedKeyId(sealed), context.keyId);
  assert.equal(parseKeyId(sealedKeyId(sealed)).tenant, tenant);
});

test('any other tenant, id, stage, key id or private key opens nothing', () => {
  const sealed = sealMessage({ envelope, message: Buffer.from('x') }, context, keys.publicKey);
  const others: SealContext[] = [
    { ...context, tenant: tenantId('beta') },
    { ...context, id: newMessageId(new Date()) },
    { ...context, stage: 'delivery' },
    { ...context, keyId: formatKeyId({ tenant, identity: 'stage.crypto', use: 'spool', version: 2 }) },
  ];
  for (const other of others) {
    assert.equal(
      codeThrownBy(() => openMessage(sealed, other, keys.privateKey)),
      'sealed-malformed',
    );
  }
  const stranger = generateKeyPairSync('x25519').privateKey;
  assert.equal(
    codeThrownBy(() => openMessage(sealed, context, stranger)),
    'sealed-malformed',
  );
});

test('no flipped bit and no truncation of a small blob passes', () => {
  const sealed = sealMessage({ envelope, message: Buffer.from('small') }, context, keys.publicKey);
  for (let at = 0; at < sealed.length; at++) {
    const flipped = Buffer.from(sealed);
    flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
    assert.match(
      codeThrownBy(() => openMessage(flipped, context, keys.privateKey)),
      /^(sealed-malformed|version-unsupported)$/,
      `byte ${at}`,
    );
    assert.match(
      codeThrownBy(() => openMessage(sealed.subarray(0, at), context, keys.privateKey)),
      /^(sealed-malformed|version-unsupported)$/,
      `cut at ${at}`,
    );
  }
});

test('chunks cannot be cut off, swapped, doubled or appended', () => {
  const message = randomBytes(3 * chunk);
  const sealed = sealMessage({ envelope, message }, context, keys.publicKey);
  const step = chunk + 16;
  const body = headerLength(sealed) + 32 + 4;
  const chunks = [0, 1, 2].map((index) => sealed.subarray(body + index * step, body + (index + 1) * step));
  const last = sealed.subarray(body + 3 * step);
  assert.ok(last.length > 0);
  const head = sealed.subarray(0, body);
  const arrangements = [
    [...chunks],
    [chunks[1], chunks[0], chunks[2], last],
    [chunks[0], chunks[0], chunks[1], chunks[2], last],
    [...chunks, last, last],
    [last],
  ];
  for (const arrangement of arrangements) {
    const forged = Buffer.concat([head, ...arrangement.flatMap((part) => part ?? [])]);
    assert.equal(
      codeThrownBy(() => openMessage(forged, context, keys.privateKey)),
      'sealed-malformed',
    );
  }
});

test('in one session each message has a key of its own, and opens in any order', () => {
  const session = newSpoolSession(keys.publicKey);
  const sessions = { of: () => session };
  const plain = Buffer.from('the same words, sealed twice under one id');
  const sealed = [0, 1, 2].map(() => sealBytes([plain], context, keys.publicKey, sessions));
  const body = headerLength(sealed[0] ?? plain) + 32;
  const heads = new Set(sealed.map((blob) => blob.subarray(0, body).toString('hex')));
  const bodies = new Set(sealed.map((blob) => blob.subarray(body + 4).toString('hex')));
  assert.deepEqual([heads.size, bodies.size], [1, 3]);
  for (const blob of sealed.toReversed()) assert.deepEqual(openBytes(blob, context, keys.privateKey), plain);

  const [first, second] = sealed;
  if (!first || !second) return assert.fail();
  const mixed = Buffer.concat([first.subarray(0, body + 4), second.subarray(body + 4)]);
  assert.equal(
    codeThrownBy(() => openBytes(mixed, context, keys.privateKey)),
    'sealed-malformed',
  );
});

test('a reader that has seen more sessions than it remembers still opens each', () => {
  const blobs = Array.from({ length: 300 }, () => sealBytes([Buffer.from('x')], context, keys.publicKey));
  for (const blob of [...blobs, ...blobs]) assert.equal(openBytes(blob, context, keys.privateKey).toString(), 'x');
});

test('what the release before sealed is read', () => {
  const recipient = x25519PrivateKey(Buffer.alloc(32, 7));
  const sealed = Buffer.from(
    'AQEAGmFscGhhL3N0YWdlLmNyeXB0by9zcG9vbC8xAAVhbHBoYQAdMDE4YmNmZTU2ODAwLTAxMjM0NTY3ODlhYmNkZWYABmNyeXB0bzRqZ0I57H4mOfiVAqWSduHKc6G9f' +
      '+nXOk8e1GoNhjos0B/Y/dru+7gnl4P2Bi6e6sUiGm/KnfhJMrxnHe0CI2cH8EI4l1QK5HfN2vU=',
    'base64',
  );
  const itsContext = { ...context, id: '018bcfe56800-0123456789abcdef' };
  assert.equal(openBytes(sealed, itsContext, recipient).toString(), 'sealed by the release before');
  const resealed = sealBytes([Buffer.from('now')], itsContext, createPublicKey(recipient));
  assert.deepEqual([sealed[1], resealed[1]], [1, 2]);
});

/** Four length-prefixed fields behind two bytes. */
function headerLength(sealed: Buffer): number {
  let at = 2;
  for (let field = 0; field < 4; field++) at += 2 + sealed.readUInt16BE(at);
  return at;
}
