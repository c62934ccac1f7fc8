// Whose key is read as the sender's in a key agreement (RFC 5753 §3.1.1): only one on the recipient's own curve.
import assert from 'node:assert/strict';
import { diffieHellman, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { test } from 'node:test';
import { originatorOf, sharedSecret } from '../src/cms/agreement.ts';
import { readAlgorithm } from '../src/cms/signed-data.ts';
import { enter, readDer, readOctetBits, TAG } from '../src/pki/der.ts';
import { algorithmIdentifier, integer, NULL, oid, sequence } from '../src/pki/der-write.ts';

const spkiOf = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' });
const [ours, theirs, other] = ['P-256', 'P-256', 'P-384'].map((namedCurve) =>
  generateKeyPairSync('ec', { namedCurve }),
) as [Pair, Pair, Pair];

interface Pair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

function agree(publicKey: Buffer, ...parameters: Buffer[]): Buffer | undefined {
  const algorithm = readAlgorithm(readDer(algorithmIdentifier('1.2.840.10045.2.1', ...parameters), TAG.sequence));
  const sender = originatorOf(spkiOf(ours.publicKey), { originator: { algorithm, publicKey } });
  return sender && sharedSecret(ours.privateKey, sender);
}

function pointOf(key: KeyObject): Buffer {
  const cursor = enter(readDer(spkiOf(key), TAG.sequence));
  cursor.next(TAG.sequence);
  return readOctetBits(cursor.next(TAG.bitString));
}

test('the sender may name the curve, write NULL or nothing', () => {
  const secret = diffieHellman({ privateKey: ours.privateKey, publicKey: theirs.publicKey });
  for (const parameters of [[], [NULL], [oid('1.2.840.10045.3.1.7')]]) {
    assert.deepEqual(agree(pointOf(theirs.publicKey), ...parameters), secret);
  }
});

test('another curve, one spelled out, and a point that is not on the curve give no secret', () => {
  const point = pointOf(theirs.publicKey);
  assert.equal(agree(point, oid('1.3.132.0.34')), undefined);
  assert.equal(agree(point, sequence(integer(1), sequence())), undefined);
  assert.equal(agree(pointOf(other.publicKey)), undefined);
  assert.equal(agree(Buffer.alloc(0)), undefined);
  assert.equal(agree(Buffer.of(0)), undefined);
  const beside = Buffer.from(point);
  beside[40] = (beside[40] ?? 0) ^ 1;
  assert.equal(agree(beside), undefined);
});
