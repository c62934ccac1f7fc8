// What the hierarchy of keys holds: nothing opens with another secret, in another place, or after a change.

import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { codeOf, formatKeyId, type KeyUse, SealpostError, tenantId } from '@sealpost/core';
import { box, unbox, using } from '../src/vault/box.ts';
import { type Keks, makeKeks, openKeks } from '../src/vault/keks.ts';
import { newRoot } from '../src/vault/slots.ts';
import { type KeyFacts, publicHalf, unwrapKey, wrapKey } from '../src/vault/wrap-key.ts';

const storeId = 'aa'.repeat(16);

const isMalformed = (error: unknown): boolean => error instanceof SealpostError && error.code === 'sealed-malformed';

function openedKeks(): Keks {
  const root = newRoot();
  return openKeks(root, makeKeks(root, storeId), storeId);
}

function p256(): { pkcs8: Buffer; facts: KeyFacts } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const keyId = formatKeyId({ tenant: tenantId('alpha'), identity: 'a@alpha.test', use: 'signing', version: 1 });
  return {
    pkcs8: privateKey.export({ format: 'der', type: 'pkcs8' }),
    facts: { keyId, use: 'signing', owner: 'alpha/a@alpha.test', algorithm: 'p-256', spki: publicHalf(privateKey) },
  };
}

test('a box opens for its key and place only, and no bit of it can be changed', () => {
  const key = randomBytes(32);
  const bound = Buffer.from('place');
  const boxed = box(key, Buffer.from('secret'), bound);
  assert.equal(unbox(key, boxed, bound).toString(), 'secret');
  assert.throws(() => unbox(randomBytes(32), boxed, bound), isMalformed);
  assert.throws(() => unbox(key, boxed, Buffer.from('other')), isMalformed);
  for (let at = 0; at < boxed.length; at++) {
    const changed = Buffer.from(boxed);
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.throws(() => unbox(key, changed, bound), isMalformed);
    assert.throws(() => unbox(key, boxed.subarray(0, at), bound), isMalformed);
  }
});

test('a secret in use is overwritten afterwards, also when its user throws', () => {
  const secret = Buffer.alloc(32, 7);
  assert.throws(() =>
    using(secret, () => {
      throw new Error('stop');
    }),
  );
  assert.ok(secret.every((byte) => byte === 0));
});

test('key-encryption keys open with their root, in their use and store only', () => {
  const root = newRoot();
  const made = makeKeks(root, storeId);
  assert.equal(openKeks(root, made, storeId).newest('signing').key.length, 32);
  assert.throws(() => openKeks(newRoot(), made, storeId), isMalformed);
  assert.throws(() => openKeks(root, made, 'bb'.repeat(16)), isMalformed);
  const swapped = made.map((kek) => ({ ...kek, use: kek.use === 'signing' ? ('decryption' as const) : kek.use }));
  assert.throws(() => openKeks(root, swapped, storeId), isMalformed);
  assert.throws(() => openKeks(root, made.slice(1), storeId), isMalformed);
});

test('forgotten key-encryption keys are gone', () => {
  const keks = openedKeks();
  const { key } = keks.newest('signing');
  keks.forget();
  assert.ok(key.every((byte) => byte === 0));
  assert.throws(
    () => keks.newest('signing'),
    (error) => codeOf(error) === 'key-service-sealed',
  );
});

test('a wrapped key opens for exactly its id, owner, algorithm, use and public key', () => {
  const keks = openedKeks();
  const { pkcs8, facts } = p256();
  const wrapped = wrapKey(pkcs8, facts, keks);
  assert.ok(!wrapped.includes(pkcs8.subarray(36, 68)));
  assert.deepEqual(
    unwrapKey(wrapped, facts, keks, (secret) => Buffer.from(secret)),
    pkcs8,
  );

  const other = p256().facts;
  const wrong: readonly Partial<KeyFacts>[] = [
    { keyId: formatKeyId({ tenant: tenantId('alpha'), identity: 'b@alpha.test', use: 'signing', version: 1 }) },
    { owner: 'beta/a@alpha.test' },
    { algorithm: 'rsa-2048' },
    { use: 'decryption' as KeyUse },
    { spki: other.spki },
  ];
  for (const change of wrong) {
    assert.throws(() => unwrapKey(wrapped, { ...facts, ...change }, keks, () => undefined), isMalformed);
  }
  assert.throws(() => unwrapKey(wrapped, facts, openedKeks(), () => undefined), isMalformed);
});

test('the public key is compared with what was unwrapped: a key wrapped beside a foreign public key is refused', () => {
  const keks = openedKeks();
  const { facts } = p256();
  const wrapped = wrapKey(p256().pkcs8, facts, keks);
  assert.throws(() => unwrapKey(wrapped, facts, keks, () => undefined), isMalformed);
});

test('an unwrapped key is overwritten when its use ends', () => {
  const keks = openedKeks();
  const { pkcs8, facts } = p256();
  const seen: Buffer[] = [];
  unwrapKey(wrapKey(pkcs8, facts, keks), facts, keks, (secret) => seen.push(secret));
  assert.equal(seen[0]?.length, pkcs8.length);
  assert.ok(seen[0]?.every((byte) => byte === 0));
});
