// Input made to hurt: every bound holds, ends in a code, and costs little.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CONTENT_TYPE } from '../src/cms/oids.ts';
import { contentInfo } from '../src/cms/pieces.ts';
import { inspect, open, openObject, parseMailboxes, SmimeError } from '../src/index.ts';
import { parseParameterized } from '../src/mime/content-type.ts';
import { integer, octetString, oid, sequence, tlv } from '../src/pki/der-write.ts';
import { ca, keysOf, NOW, person } from './people.ts';

const bob = person('bob');
const options = { keys: keysOf(bob), recipients: [bob.certificate], trust: [ca], at: NOW };

/** Far above what the work takes, far below what an unbounded or quadratic step would. */
const PATIENCE = 2000;

async function quickly<T>(work: () => Promise<T> | T): Promise<T> {
  const start = performance.now();
  const result = await work();
  assert.ok(performance.now() - start < PATIENCE);
  return result;
}

async function codeOf(bytes: Buffer): Promise<string> {
  const result = await quickly(() => openObject(bytes, options));
  return result.kind === 'broken' ? result.error.code : result.kind;
}

test('nesting without end stops', async () => {
  assert.equal(await codeOf(Buffer.alloc(200_000, Buffer.from([0x30, 0x80]))), 'malformed-cms');
  const string = Buffer.concat([Buffer.alloc(100_000, Buffer.from([0x24, 0x80])), Buffer.alloc(200_000)]);
  const signed = sequence(integer(1), tlv(0x31), sequence(oid(CONTENT_TYPE.data), tlv(0xa0, string)), tlv(0x31));
  assert.equal(await codeOf(Buffer.concat(contentInfo(CONTENT_TYPE.signedData, [signed]))), 'malformed-cms');
});

test('layers without end stop', async () => {
  let object: Buffer = Buffer.from('x');
  for (let depth = 0; depth < 20; depth++) {
    const inner = sequence(
      oid(depth === 0 ? CONTENT_TYPE.data : CONTENT_TYPE.signedData),
      tlv(0xa0, octetString(object)),
    );
    object = sequence(integer(1), tlv(0x31), inner, tlv(0x31, tlv(0x30)));
  }
  assert.equal(await codeOf(Buffer.concat(contentInfo(CONTENT_TYPE.signedData, [object]))), 'limit-exceeded');
});

test('too many signers, certificates, recipients', async () => {
  const many = (count: number) => tlv(0x31, Buffer.alloc(count * 2, Buffer.from([0x30, 0x00])));
  const signed = (certificates: Buffer, signers: Buffer) =>
    Buffer.concat(
      contentInfo(CONTENT_TYPE.signedData, [
        sequence(integer(1), tlv(0x31), sequence(oid(CONTENT_TYPE.data)), certificates, signers),
      ]),
    );
  assert.equal(await codeOf(signed(tlv(0xa0), many(17))), 'limit-exceeded');
  assert.equal(await codeOf(signed(tlv(0xa0, many(201).subarray(4)), many(1))), 'limit-exceeded');
  const enveloped = sequence(integer(0), many(20_000), sequence(oid(CONTENT_TYPE.data)));
  assert.equal(await codeOf(Buffer.concat(contentInfo(CONTENT_TYPE.envelopedData, [enveloped]))), 'limit-exceeded');
});

test('lengths beyond the input', async () => {
  for (const hex of [
    '30',
    '3080',
    '30848fffffff',
    '3088ffffffffffffffff',
    '30890000000000000000',
    '308206',
    '1f8101',
  ]) {
    assert.equal(await codeOf(Buffer.concat([Buffer.from(hex, 'hex')])), 'malformed-cms');
  }
  assert.equal(await codeOf(Buffer.alloc(0)), 'malformed-cms');
});

test('a header without end', async () => {
  const long = Buffer.concat([Buffer.from('Subject: x\r\n'), Buffer.alloc(2 << 20, ' x\r\n')]);
  const result = await quickly(() => open(long, options));
  assert.ok(result.kind === 'broken' && result.error.code === 'limit-exceeded');
  assert.throws(() => inspect(Buffer.alloc(1 << 20, 'a:\r\n')), new SmimeError('limit-exceeded'));
});

test('plain mail with more parts than we count is still plain', async () => {
  const parts = '--b\r\n\r\nx\r\n'.repeat(50_000);
  const message = Buffer.from(`Content-Type: multipart/digest; boundary=b\r\n\r\n${parts}--b--\r\n`);
  assert.equal((await quickly(() => open(message, options))).kind, 'plain');
  assert.equal(inspect(message).protection, 'none');
});

test('multiparts inside multiparts without end', async () => {
  const one = 'Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n';
  const other = 'Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n';
  assert.equal((await quickly(() => open(Buffer.from((one + other).repeat(20_000)), options))).kind, 'plain');
});

test('delimiters that are none, address lists and parameters without end', async () => {
  const body = '--b x\r\n'.repeat(300_000);
  const message = Buffer.from(`Content-Type: multipart/mixed; boundary=b\r\n\r\n${body}`);
  assert.equal((await quickly(() => open(message, options))).kind, 'plain');
  await quickly(() => parseMailboxes('('.repeat(500_000)));
  await quickly(() => parseMailboxes('a@b,'.repeat(200_000)));
  await quickly(() => parseMailboxes('"\\'.repeat(300_000)));
  await quickly(() => parseParameterized(`a/b${';x*1*="\\'.repeat(100_000)}`));
  await quickly(() => parseParameterized(`a/b; ${Array.from({ length: 20_000 }, (_, i) => `n*${i}*=%41`).join(';')}`));
});

test('whatever comes, open answers and never throws', async () => {
  const head = fc.constantFrom(
    'Content-Type: application/pkcs7-mime\r\n\r\n',
    'Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n',
    'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\n' +
      'Content-Type: application/pkcs7-signature\r\n\r\n',
  );
  const octet = fc.oneof(fc.constantFrom(0x30, 0x80, 0x31, 0x24, 0xa0, 0x06, 0x00), fc.nat(255));
  await fc.assert(
    fc.asyncProperty(head, fc.array(octet, { maxLength: 80 }), async (fields, bytes) => {
      const message = Buffer.concat([Buffer.from(fields), Buffer.from([0x30, 0x80, ...bytes])]);
      const result = await open(message, options);
      assert.ok(result.kind === 'plain' || !result.verdict.verified);
    }),
    { numRuns: 500 },
  );
});
