// RC2 against ciphertext made by `openssl enc -rc2-…` with its legacy provider.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decryptRc2Cbc } from '../src/pki/rc2.ts';

const KEY = Buffer.from('0102030405060708090a0b0c0d0e0f10', 'hex');
const IV = Buffer.from('0011223344556677', 'hex');

for (const [bits, ciphertext] of [
  [40, '2fb15d9526d687e1940508f7cd601d8b'],
  [64, 'd65756cfb54400b0ac49d71b745dacf7'],
  [128, 'e42990ad28f73dd11f1941cd371c47e0'],
] as const) {
  test(`RC2-${bits} opens`, () => {
    const key = KEY.subarray(0, bits / 8);
    const plain = decryptRc2Cbc(key, bits, IV, Buffer.from(ciphertext, 'hex'));
    assert.equal(plain?.toString('latin1'), 'RC2 is history.');
  });
}

test('wrong padding and broken blocks give nothing', () => {
  assert.equal(decryptRc2Cbc(KEY, 128, IV, Buffer.alloc(16, 7)), undefined);
  assert.equal(decryptRc2Cbc(KEY, 128, IV, Buffer.alloc(15)), undefined);
  assert.equal(decryptRc2Cbc(KEY, 128, IV, Buffer.alloc(0)), undefined);
});
