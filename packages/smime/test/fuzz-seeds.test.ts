// Inputs that the fuzz runner found (docs/fuzzing.md), each with what must hold for it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMailboxes, readEntity, readHeaders, readMultipart } from '../src/index.ts';
import { isLineSafe, sevenBitEntity } from '../src/mime/canonical.ts';
import { certificateFromDer } from '../src/pki/certificate.ts';
import { person } from './people.ts';

function canonical(text: string): Buffer {
  const { fields, body } = readEntity(Buffer.from(text, 'latin1'));
  return Buffer.concat(sevenBitEntity(fields, body));
}

test('a bare CR in a field of signed content does not become a field of its own', () => {
  const made = canonical('Content-Disposition: inline; filename=a\rContent-Type: text/html\r\n\r\nx\r\n');
  assert.ok(isLineSafe(made));
  assert.deepEqual(
    readHeaders(made).map(({ name }) => name),
    ['content-type', 'content-disposition'],
  );
});

test('a line of a header that is a CR only stays a line, and neither ends the header nor joins the field before', () => {
  const made = canonical('Content-Type: text/html\r\n\r\r\nContent-Language: en\r\n\r\nx\n');
  assert.ok(made.toString().startsWith('Content-Type: text/html\r\n?\r\nContent-Language: en\r\n'));
});

test('an unknown transfer encoding is kept as it was written, without its bare CR', () => {
  const made = canonical('Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\rx\r\n\r\nx\n');
  assert.ok(isLineSafe(made));
  assert.ok(made.includes('Content-Transfer-Encoding: base64 x\r\n'));
});

test('a domain literal without an end is no domain', () => {
  assert.deepEqual(parseMailboxes('carol@[127.0.0.1, eve@example.test'), []);
  assert.deepEqual(parseMailboxes('alice@example.test, carol@[127.0'), ['alice@example.test']);
});

test('a certificate that is kept keeps its own octets only, not a slab of the pool that it was cut from', () => {
  const { der } = person('alice').certificate;
  const other = certificateFromDer(Buffer.concat([der]));
  assert.equal(other.der.buffer.byteLength, der.length);
});

test('a delimiter that ends in CR alone, or in two of them, is the delimiter that it becomes', () => {
  for (const end of ['\r', '\r\r\n']) {
    const multipart = readMultipart(Buffer.from(`--b\r\n\r\nx\r\n--b--${end}`), 'b');
    assert.ok(multipart.closed);
    assert.deepEqual(multipart.parts.map(String), ['\r\nx']);
  }
});
