import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DerCursor, readDer, readNamedBits, readOid, readSmallInteger, readTime } from '../src/pki/der.ts';
import { integer, namedBits, octetString, oid, setOf, time, tlv } from '../src/pki/der-write.ts';

const malformed = { code: 'malformed-der' };

test('lengths that DER forbids are refused', () => {
  for (const hex of [
    '30',
    '3080',
    '30800000',
    '308101ff',
    '30820001ff',
    '3005ff',
    '30850000000001ff',
    '1f2000',
    '0500ff',
    '3084ffffffff',
  ]) {
    assert.throws(() => readDer(Buffer.from(hex, 'hex')), malformed, hex);
  }
});

test('any octets end in an element or in malformed-der', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const cursor = new DerCursor(Buffer.from(bytes));
      let read = 0;
      try {
        while (!cursor.done) read += cursor.next().bytes.length;
        assert.equal(read, bytes.length);
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'malformed-der');
      }
    }),
  );
});

test('what the writer makes the reader reads back', () => {
  fc.assert(fc.property(fc.nat({ max: 2 ** 31 - 1 }), (n) => assert.equal(readSmallInteger(readDer(integer(n))), n)));
  fc.assert(
    fc.property(fc.array(fc.bigInt(0n, 2n ** 70n), { maxLength: 8 }), fc.bigInt(0n, 2n ** 70n), (rest, second) => {
      const dotted = ['2', second, ...rest].join('.');
      assert.equal(readOid(readDer(oid(dotted))), dotted);
    }),
  );
  fc.assert(
    fc.property(fc.date({ min: new Date(0), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true }), (date) => {
      date.setUTCMilliseconds(0);
      assert.deepEqual(readTime(readDer(time(date))), date);
    }),
  );
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat({ max: 15 })), (bits) =>
      assert.deepEqual(
        readNamedBits(readDer(namedBits(bits))),
        [...bits].sort((a, b) => a - b),
      ),
    ),
  );
  for (const size of [0, 127, 128, 255, 256, 65535, 65536, 2 ** 24]) {
    assert.equal(readDer(octetString(Buffer.alloc(size))).content.length, size);
  }
});

test('SET OF is sorted by encoding', () => {
  assert.equal(setOf([integer(2), octetString(Buffer.of(1)), integer(1)]).toString('hex'), '3109020101020102040101');
});

test('a date that does not exist is refused', () => {
  for (const text of ['260231000000Z', '260101240000Z', '260101006000Z', '2601010000Z', '260101000000+0100']) {
    assert.throws(() => readTime({ tag: 0x17, bytes: Buffer.alloc(0), content: Buffer.from(text) }), malformed, text);
  }
  const leap = tlv(0x17, Buffer.from('280229120000Z'));
  assert.equal(readTime(readDer(leap)).toISOString(), '2028-02-29T12:00:00.000Z');
});
