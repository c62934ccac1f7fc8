// Keys on their way to a worker: one encapsulation for all of an answer, each bound to its own lease.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { setupSender, timeField, writeFrame } from '@sealpost/core';
import { ephemeralBytes, openKey, sealKey } from '../src/sealed-key.ts';

const { publicKey, privateKey } = generateKeyPairSync('x25519');
const until = new Date('2026-01-01T00:00:00Z');
const bindingOf = (leaseId: string) =>
  ({ instance: 'w', leaseId, keyId: 'a/b/signing/1', purpose: 'lease', expiresAt: until }) as const;

test('keys of one answer open in any order, each for its own binding and number only', () => {
  const ephemeral = ephemeralBytes(publicKey);
  const sealed = ['first', 'second', 'third'].map((text) => sealKey(Buffer.from(text), bindingOf(text), ephemeral));
  for (const [at, text] of [
    [2, 'third'],
    [0, 'first'],
    [1, 'second'],
  ] as const) {
    assert.equal(openKey(sealed[at] ?? Buffer.alloc(0), bindingOf(text), privateKey).toString(), text);
    assert.throws(() => openKey(sealed[at] ?? Buffer.alloc(0), bindingOf('other'), privateKey));
  }
  const renumbered = Buffer.from(sealed[0] ?? '');
  renumbered.writeUInt16BE(1, 34);
  assert.throws(() => openKey(renumbered, bindingOf('first'), privateKey));
});

test('each ephemeral key gets an encapsulation of its own, and every cut or flipped byte is refused', () => {
  const [one, other] = [1, 2].map(() => sealKey(Buffer.from('key'), bindingOf('l'), ephemeralBytes(publicKey)));
  assert.ok(one && other && !one.subarray(2, 34).equals(other.subarray(2, 34)));
  for (let at = 0; at < one.length; at++) {
    assert.throws(() => openKey(one.subarray(0, at), bindingOf('l'), privateKey), `cut at ${at}`);
    const flipped = Buffer.from(one);
    flipped[at] = (flipped[at] ?? 0) ^ 1;
    assert.throws(() => openKey(flipped, bindingOf('l'), privateKey), `byte ${at}`);
  }
});

test('what a key service of the previous version seals still opens', () => {
  const info = writeFrame(1, 1, ['sealpost key', 'w', 'l', 'a/b/signing/1', 'lease', timeField(until)]);
  const sender = setupSender(publicKey, info);
  const piece = sender.seal(Buffer.alloc(0), Buffer.from('key'));
  const sealed = Buffer.concat([Buffer.from([1, 1]), sender.encapsulated, piece]);
  assert.equal(openKey(sealed, bindingOf('l'), privateKey).toString(), 'key');
  assert.throws(() => openKey(sealed, bindingOf('m'), privateKey));
});
