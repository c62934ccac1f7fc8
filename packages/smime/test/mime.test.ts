// The MIME layer: nothing is lost, nothing is invented, decoding undoes encoding, addresses are only addresses.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseMailboxes, readHeaders } from '../src/index.ts';
import { isLineSafe, isSevenBitSafe, sevenBitEntity } from '../src/mime/canonical.ts';
import { boundaryOf, parseParameterized } from '../src/mime/content-type.ts';
import { readEntity } from '../src/mime/header.ts';
import { scanLineEnds } from '../src/mime/lines.ts';
import { readMultipart } from '../src/mime/multipart.ts';
import {
  Base64Lines,
  base64LinesLength,
  decodeBase64,
  decodeQuotedPrintable,
  encodeBase64,
  encodeQuotedPrintable,
} from '../src/mime/transfer.ts';

const octets = (max: number) => fc.uint8Array({ maxLength: max }).map((bytes) => Buffer.from(bytes));
/** Octets that mean something to a MIME parser, in any order. */
const messy = fc
  .array(
    fc.constantFrom('\r\n', '\n', '\r', ' ', '\t', ':', 'a', 'Content-Type', '--', '--b', '--b--', '\r\n\r\n', '='),
    {
      maxLength: 60,
    },
  )
  .map((pieces) => Buffer.from(pieces.join(''), 'latin1'));

test('the fields, the empty line and the body are the entity, octet for octet', () => {
  fc.assert(
    fc.property(messy, (raw) => {
      const { fields, body } = readEntity(raw);
      const head = Buffer.concat(fields.map((field) => field.raw));
      const between = raw.subarray(head.length, raw.length - body.length).toString('latin1');
      assert.ok(raw.subarray(0, head.length).equals(head));
      assert.ok(between === '' || between === '\n' || between === '\r\n');
      assert.deepEqual(readHeaders(raw), fields);
    }),
  );
});

test('a multipart is its delimiters and what lies between them', () => {
  fc.assert(
    fc.property(messy, (body) => {
      const { preamble, parts, delimiters, epilogue, closed } = readMultipart(body, 'b');
      const pieces: Buffer[] = [preamble];
      parts.forEach((part, index) => {
        pieces.push(delimiters[index] ?? Buffer.alloc(0), part);
      });
      if (closed) pieces.push(delimiters.at(-1) ?? Buffer.alloc(0), epilogue);
      assert.ok(Buffer.concat(pieces).equals(body));
    }),
  );
});

test('the line end before a delimiter is not part of the part', () => {
  const { parts, closed } = readMultipart(Buffer.from('--b\r\none\r\n\r\n--b \r\ntwo\n--b--\r\nrest'), 'b');
  assert.deepEqual(parts.map(String), ['one\r\n', 'two']);
  assert.equal(closed, true);
});

test('a longer boundary that begins like ours does not delimit', () => {
  const { parts } = readMultipart(Buffer.from('--b\r\none\r\n--bb\r\n text --b\r\n--b--'), 'b');
  assert.deepEqual(parts.map(String), ['one\r\n--bb\r\n text --b']);
});

test('base64 lines decode to what was encoded, in whatever pieces it was written', () => {
  fc.assert(
    fc.property(fc.array(octets(200), { maxLength: 8 }), (pieces) => {
      const whole = Buffer.concat(pieces);
      const out = Buffer.alloc(base64LinesLength(whole.length));
      const lines = new Base64Lines(out, 0);
      for (const piece of pieces) lines.write(piece);
      assert.equal(lines.end(), out.length);
      assert.ok(out.equals(encodeBase64(whole)));
      assert.ok(decodeBase64(out).equals(whole));
      assert.ok(
        out
          .toString('latin1')
          .split('\r\n')
          .every((line) => line.length <= 76),
      );
    }),
  );
});

test('base64 is read with odd line lengths, in large bodies too', () => {
  const whole = Buffer.alloc(3_000_001, 'sealpost');
  const odd = whole.toString('base64').replace(/.{1,61}/g, '$& \n');
  assert.ok(decodeBase64(Buffer.from(odd)).equals(whole));
});

test('quoted-printable decodes to what was encoded, and its lines are safe', () => {
  const line = octets(300).map((bytes) => bytes.toString('latin1').replace(/[\r\n]/g, 'x'));
  fc.assert(
    fc.property(fc.array(line, { maxLength: 5 }), (lines) => {
      const text = Buffer.from(lines.join('\r\n'), 'latin1');
      const encoded = encodeQuotedPrintable(text);
      assert.ok(decodeQuotedPrintable(encoded).equals(text));
      assert.ok(isSevenBitSafe(encoded));
      assert.ok(
        encoded
          .toString('latin1')
          .split('\r\n')
          .every((row) => row.length <= 76 && !/^\.|^From |[ \t]$/.test(row)),
      );
    }),
  );
});

test('broken quoted-printable escapes stay as they are', () => {
  assert.equal(decodeQuotedPrintable(Buffer.from('a=ZZb=4')).toString(), 'a=ZZb=4');
  assert.equal(decodeQuotedPrintable(Buffer.from('a=3dB \t\r\nc=\r\nd= \ne')).toString(), 'a=B\r\ncde');
});

test('any entity becomes 7bit with CRLF, and leaves decode to the same octets', () => {
  fc.assert(
    fc.property(octets(400), (body) => {
      const fields = readEntity(Buffer.from('Content-Type: application/octet-stream\r\n\r\n')).fields;
      const made = Buffer.concat(sevenBitEntity(fields, body));
      assert.ok(isSevenBitSafe(made));
      const entity = readEntity(made);
      const encoded = entity.fields.some((field) => field.value === 'base64');
      assert.ok((encoded ? decodeBase64(entity.body) : entity.body).equals(body));
    }),
  );
});

test('a multipart with 8bit text and a binary attachment keeps its structure', () => {
  const text = 'Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n';
  const body = Buffer.concat([
    Buffer.from(
      'pre\u00e4mble\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGr\u00fc\u00dfe\nan alle\r\n--b\r\n',
    ),
    Buffer.from('Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n'),
    Buffer.from([0, 255, 10, 13, 10, 7]),
    Buffer.from('\r\n--b--\r\n'),
  ]);
  const { fields } = readEntity(Buffer.from(text));
  const entity = readEntity(Buffer.concat(sevenBitEntity(fields, body)));
  assert.ok(isSevenBitSafe(entity.raw));
  const parts = readMultipart(entity.body, 'b').parts.map((part) => readEntity(part));
  assert.equal(decodeQuotedPrintable(parts[0]?.body ?? body).toString(), 'Gr\u00fc\u00dfe\r\nan alle');
  assert.deepEqual([...decodeBase64(parts[1]?.body ?? body)], [0, 255, 10, 13, 10, 7]);
});

test('what is already 7bit is not touched', () => {
  const raw = Buffer.from('Content-Type: text/plain\r\nContent-Transfer-Encoding: 7bit\r\n\r\nplain\r\n');
  const { fields, body } = readEntity(raw);
  assert.ok(Buffer.concat(sevenBitEntity(fields, body)).equals(raw));
});

test('an entity without a type gets one that says what it is', () => {
  assert.match(
    Buffer.concat(sevenBitEntity([], Buffer.from('x'))).toString(),
    /^Content-Type: text\/plain; charset=us-ascii\r\n\r\nx$/,
  );
  assert.match(
    Buffer.concat(sevenBitEntity([], Buffer.from('\u00e9'))).toString(),
    /charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A9$/,
  );
});

test('line ends are found as a plain reader finds them, at any alignment', () => {
  const line = fc.constantFrom('\r\n', '\r\n', '\n', '\r', '\0', 'a', 'bcdefgh', '\x0e\x0c\x0b', '\x8d\x8a\xff');
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), fc.nat(7), (pieces, shift) => {
      const text = pieces.join('');
      const bytes = Buffer.concat([Buffer.alloc(shift, 0x61), Buffer.from(text, 'latin1')]).subarray(shift);
      const safe = !/\0|\r(?!\n)|(?<!\r)\n/.test(text);
      const ends = scanLineEnds(bytes);
      assert.equal(ends.safe, safe);
      if (safe) assert.equal(ends.longest, Math.max(...text.split('\r\n').map((row) => row.length)));
    }),
    { numRuns: 2000 },
  );
});

test('isLineSafe finds NUL, bare CR and bare LF', () => {
  for (const bad of ['a\nb', 'a\rb', 'a\0b', '\n', 'a\r']) assert.equal(isLineSafe(Buffer.from(bad)), false);
  for (const good of ['', 'a\r\nb', '\r\n\r\n', '\u00e4']) assert.equal(isLineSafe(Buffer.from(good)), true);
});

test('parameters: quotes, escapes, comments, continuations, charsets, repetition', () => {
  const type = parseParameterized(
    'Multipart / Signed (a;b); boundary="a\\"b;c"; BOUNDARY=second; name*0="one "; name*1=two; file*=utf-8\'\'%c3%a4',
  );
  assert.equal(type.value, 'multipart/signed');
  assert.equal(boundaryOf(type), 'a"b;c');
  assert.equal(type.parameters.get('name'), 'one two');
  assert.equal(type.parameters.get('file'), '\u00e4');
});

for (const [value, expected] of [
  ['alice@a.test', ['alice@a.test']],
  ['"bob@trusted.test" <mallory@evil.test>', ['mallory@evil.test']],
  ['bob@trusted.test (mallory@evil.test)', ['bob@trusted.test']],
  ['(a (nested) comment) alice@a.test', ['alice@a.test']],
  ['A <a@x.test>, B <b@x.test>', ['a@x.test', 'b@x.test']],
  ['"A, <x@evil.test>" <a@x.test>', ['a@x.test']],
  ['friends: a@x.test, b@x.test;, c@x.test', ['a@x.test', 'b@x.test', 'c@x.test']],
  ['<@relay.test,@other.test:a@x.test>', ['a@x.test']],
  ['"a b"@x.test', ['"a b"@x.test']],
  ['"plain"@x.test', ['plain@x.test']],
  ['j\u00f6rg@m\u00fcller.test', ['j\u00f6rg@m\u00fcller.test']],
  ['a@[192.0.2.1]', ['a@[192.0.2.1]']],
  ['a@x.test <b@x.test>', ['b@x.test']],
  ['=?utf-8?q?x=40evil=2Etest?= <a@x.test>', ['a@x.test']],
  ['undisclosed-recipients:;', []],
  ['no address', []],
  ['a @ x . test', ['a@x.test']],
  ['a@b@c.test', []],
  ['<>', []],
] as const) {
  test(`addresses of ${value}`, () => assert.deepEqual(parseMailboxes(value), expected));
}
