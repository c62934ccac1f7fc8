// The footer: where it goes in every shape of text, and that it never damages or enters what it must not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withFooter } from '../src/footer.ts';

const text = 'Signature <valid>.';
const head = 'From: a@x.test\r\nMIME-Version: 1.0\r\n';

function footed(mail: string, footer = text): string | undefined {
  return withFooter(Buffer.from(mail, 'latin1'), footer)?.toString('latin1');
}

const plain = (type: string, encoding: string, body: string): string =>
  `${head}Content-Type: ${type}\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n${body}`;
const latin1 = (utf8: string): string => Buffer.from(utf8).toString('latin1');
const base64 = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('base64');

test('plain text: after the text, on a line of its own, whether the text ended its line or not', () => {
  assert.equal(footed(`${head}\r\nHello\r\n`), `${head}\r\nHello\r\n\r\n${text}\r\n`);
  assert.equal(footed(`${head}\r\nHello`), `${head}\r\nHello\r\n\r\n${text}\r\n`);
  assert.equal(footed(`${head}\r\n`), `${head}\r\n\r\n\r\n${text}\r\n`);
});

test('quoted-printable and base64 are respected', () => {
  assert.equal(
    footed(plain('text/plain; charset=utf-8', 'quoted-printable', 'Gr=C3=BC=C3=9Fe=\r\n'), 'Geprüft'),
    plain('text/plain; charset=utf-8', 'quoted-printable', 'Gr=C3=BC=C3=9Fe\r\n\r\nGepr=C3=BCft\r\n'),
  );
  assert.equal(
    footed(plain('text/plain; charset=utf-8', 'base64', `${base64(latin1('Grüße\r\n'))}\r\n`), 'Geprüft'),
    plain('text/plain; charset=utf-8', 'base64', `${base64(latin1('Grüße\r\n\r\nGeprüft\r\n'))}\r\n`),
  );
});

test('the footer is written in the charset of the text', () => {
  assert.equal(
    footed(plain('text/plain; charset=ISO-8859-1', '8bit', 'Gr\xfc\xdfe\r\n'), 'Geprüft'),
    plain('text/plain; charset=ISO-8859-1', '8bit', 'Gr\xfc\xdfe\r\n\r\nGepr\xfcft\r\n'),
  );
  assert.equal(
    footed(plain('text/plain; charset=utf-8', '8bit', latin1('Grüße\r\n')), 'Geprüft'),
    plain('text/plain; charset=utf-8', '8bit', latin1('Grüße\r\n\r\nGeprüft\r\n')),
  );
  assert.ok(footed(plain('text/plain; charset=shift_jis', '8bit', '\x83\x65\r\n'))?.endsWith(`\r\n\r\n${text}\r\n`));
});

test('ASCII text that needs other letters becomes quoted UTF-8 and keeps its other parameters', () => {
  assert.equal(
    footed(
      `${head}Subject: s\r\nContent-Type: text/plain; charset=us-ascii; format=flowed\r\n\r\nHello = you\r\n`,
      'Geprüft',
    ),
    `${head}Subject: s\r\nContent-Type: text/plain; charset=utf-8;\r\n format="flowed"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nHello =3D you\r\n\r\nGepr=C3=BCft\r\n`,
  );
});

for (const [what, mail, footer] of [
  ['an unknown charset', plain('text/plain; charset=x-unknown', '8bit', 'Hello\r\n'), text],
  ['UTF-16', plain('text/plain; charset=utf-16', 'base64', 'SABpAA==\r\n'), text],
  ['letters that the charset lacks', plain('text/plain; charset=iso-8859-1', '8bit', 'Hello\r\n'), 'Проверено'],
  ['an unknown transfer encoding', plain('text/plain', 'x-uuencode', 'begin 644\r\n'), text],
  ['8bit where 7bit was said', plain('text/plain; charset=us-ascii', '7bit', 'Gr\xfc\xdfe\r\n'), 'Geprüft'],
  [
    'a clear signature',
    `${head}Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary=b\r\n\r\n--b\r\n\r\nHello\r\n--b\r\nContent-Type: application/pkcs7-signature\r\n\r\nx\r\n--b--\r\n`,
    text,
  ],
  [
    'an encrypted part',
    `${head}Content-Type: multipart/encrypted; boundary=b\r\n\r\n--b\r\n\r\nHello\r\n--b--\r\n`,
    text,
  ],
  ['an attached message', `${head}Content-Type: message/rfc822\r\n\r\nFrom: x@y.test\r\n\r\nHello\r\n`, text],
  [
    'an attachment',
    `${head}Content-Type: text/plain\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nHello\r\n`,
    text,
  ],
  ['a picture', `${head}Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw==\r\n`, text],
  ['a multipart without boundary', `${head}Content-Type: multipart/mixed\r\n\r\nHello\r\n`, text],
] as const) {
  test(`none into ${what}`, () => {
    assert.equal(footed(mail, footer), undefined);
  });
}

test('alternatives: in the plain text and, escaped, before the end of the HTML body; other parts stay byte for byte', () => {
  const picture = 'Content-Type: image/png\r\n\r\nPNG\r\n<body></body>';
  const alternative = (plainText: string, html: string): string =>
    `preamble\r\n--o\r\nContent-Type: multipart/alternative; boundary="i"\r\n\r\n--i\r\nContent-Type: text/plain\r\n\r\n${plainText}\r\n--i\r\nContent-Type: multipart/related; boundary=r\r\n\r\n--r\r\nContent-Type: text/html; charset=utf-8\r\n\r\n${html}\r\n--r\r\n${picture}\r\n--r--\r\n\r\n--i--\r\n\r\n--o\r\nContent-Type: text/plain\r\n\r\nsecond text\r\n--o--\r\nepilogue\r\n`;
  const mail = `${head}Content-Type: multipart/mixed; boundary=o\r\n\r\n`;
  assert.equal(
    footed(mail + alternative('Hello', '<html><body><p>Hello</p></BODY ></html>')),
    mail +
      alternative(
        `Hello\r\n\r\n${text}\r\n`,
        '<html><body><p>Hello</p><hr><p>Signature &#60;valid&#62;.</p>\r\n</BODY ></html>',
      ),
  );
});

test('a list footer beside a signed part is not taken for the text of the mail inside it', () => {
  const signedPart =
    'Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\nHello\r\n--s\r\nContent-Type: application/pkcs7-signature\r\n\r\nx\r\n--s--';
  const mail = (list: string): string =>
    `${head}Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n${signedPart}\r\n--o\r\nContent-Type: text/plain\r\n\r\n${list}\r\n--o--\r\n`;
  assert.equal(footed(mail('list')), mail(`list\r\n\r\n${text}\r\n`));
});

test('multiparts inside each other without end are left alone', () => {
  let body = '\r\nHello\r\n';
  for (let level = 0; level < 40; level++) {
    body = `Content-Type: multipart/mixed; boundary=b${level}\r\n\r\n--b${level}\r\n${body}\r\n--b${level}--\r\n`;
  }
  assert.equal(footed(head + body), undefined);
});
