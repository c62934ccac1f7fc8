// What a message is taken for.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classificationOf } from '../src/classify.ts';

const head =
  'From: a@x.test\r\nTo: Bob <bob@y.test>, "C, D" <c@y.test>\r\nCc: list: e@y.test;\r\nMIME-Version: 1.0\r\n';
const classified = (fields: string, body = 'Hello\r\n') => classificationOf(Buffer.from(`${head}${fields}\r\n${body}`));

test('recipients of To and Cc are visible, and From is read', () => {
  const { visibleRecipients, from, malformed, exemptions, protection } = classified('');
  assert.deepEqual(visibleRecipients, ['bob@y.test', 'c@y.test', 'e@y.test']);
  assert.deepEqual(from, ['a@x.test']);
  assert.deepEqual({ malformed, exemptions, protection }, { malformed: false, exemptions: [], protection: 'none' });
});

const signedAround = (inner: string): string =>
  `--b\r\n${inner}\r\n--b\r\nContent-Type: application/pkcs7-signature\r\n\r\nMA==\r\n--b--\r\n`;
const signedType = 'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary=b\r\n';

for (const [what, fields, body, protection] of [
  ['clear-signed', signedType, signedAround('\r\nHello'), 'signed'],
  [
    'clear-signed around a ciphertext',
    signedType,
    signedAround('Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n\r\nMA=='),
    'encrypted',
  ],
  ['opaque signed', 'Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n', 'MA==', 'encrypted'],
  ['enveloped', 'Content-Type: application/x-pkcs7-mime; smime-type=enveloped-data\r\n', 'MA==', 'encrypted'],
  ['a p7m by name only', 'Content-Type: application/octet-stream; name=smime.p7m\r\n', 'MA==', 'encrypted'],
  ['certificates only', 'Content-Type: application/pkcs7-mime; smime-type=certs-only\r\n', 'MA==', 'signed'],
  [
    'a ciphertext amid other parts',
    'Content-Type: multipart/mixed; boundary=b\r\n',
    '--b\r\nContent-Type: application/pkcs7-mime\r\n\r\nMA==\r\n--b--\r\n',
    'signed',
  ],
  [
    'PGP',
    'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b\r\n',
    '--b\r\n\r\n--b--\r\n',
    'none',
  ],
] as const) {
  test(`inbound: ${what} is ${protection}`, () => {
    assert.equal(classified(fields, body).protection, protection);
  });
}

test('mail of several kinds to be left alone is known as each of them', () => {
  const { exemptions } = classified('Auto-Submitted: auto-replied\r\nContent-Type: text/calendar; method=REPLY\r\n');
  assert.deepEqual(exemptions, ['calendar', 'auto-reply']);
});

test('a line in the header that is no field is malformed', () => {
  assert.equal(classified('this is no field\r\n').malformed, true);
});
