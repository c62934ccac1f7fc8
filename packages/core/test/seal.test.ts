// The sealed spool: what goes in comes out, for its own context only, and no cut, swap or flipped bit passes.

import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import {
  codeOf,
  type Envelope,
  formatKeyId,
  newMessageId,
  openMessage,
  parseKeyId,
  type SealContext,
  sealedKeyId,
  sealMessage,
  tenantId,
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
  const body = headerLength(sealed) + 32;
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

/** Four length-prefixed fields behind two bytes. */
function headerLength(sealed: Buffer): number {
  let at = 2;
  for (let field = 0; field < 4; field++) at += 2 + sealed.readUInt16BE(at);
  return at;
}
