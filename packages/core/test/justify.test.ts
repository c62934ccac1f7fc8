// Whose key a message may use.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Envelope, isOwnerOf, type KeyName, type KeyUse, tenantId } from '../src/index.ts';

const key = (identity: string, use: KeyUse): KeyName => ({ tenant: tenantId('alpha'), identity, use, version: 1 });
const envelope: Envelope = {
  mailFrom: 'bounces@alpha.test',
  headerFrom: 'Alice@Alpha.test',
  recipients: [{ address: 'Bob@alpha.test' }, { address: 'carol@alpha.test' }],
  eightBit: false,
  smtpUtf8: false,
  salt: 'salt',
};

test('outbound mail uses the signing key of its From address and nothing else', () => {
  assert.equal(isOwnerOf(key('alice@alpha.test', 'signing'), 'outbound', envelope), true);
  assert.equal(isOwnerOf(key('alice@alpha.test', 'decryption'), 'outbound', envelope), false);
  assert.equal(isOwnerOf(key('bounces@alpha.test', 'signing'), 'outbound', envelope), false);
  assert.equal(isOwnerOf(key('bob@alpha.test', 'signing'), 'outbound', envelope), false);
  assert.equal(isOwnerOf(key('', 'signing'), 'outbound', { ...envelope, headerFrom: '' }), false);
});

test('inbound mail uses decryption keys of its recipients and nothing else', () => {
  assert.equal(isOwnerOf(key('bob@alpha.test', 'decryption'), 'inbound', envelope), true);
  assert.equal(isOwnerOf(key('carol@alpha.test', 'decryption'), 'inbound', envelope), true);
  assert.equal(isOwnerOf(key('bob@alpha.test', 'signing'), 'inbound', envelope), false);
  assert.equal(isOwnerOf(key('alice@alpha.test', 'decryption'), 'inbound', envelope), false);
  for (const use of ['spool', 'mac', 'ca'] as const) {
    assert.equal(isOwnerOf(key('bob@alpha.test', use), 'inbound', envelope), false);
  }
});
