// Fields and tags that only the gateway writes: every forged form is found, everything else stays byte for byte.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { withFieldOnTop, withoutForged, withSubjectTag } from '../src/own-fields.ts';

const tags = { verified: '[Sealpost: verified]', decrypted: '[geöffnet]' };
const clean = (mail: string): string => withoutForged(Buffer.from(mail), { subjectTag: tags }).toString();
const encoded = (text: string, charset = 'utf-8'): string =>
  `=?${charset}?B?${Buffer.from(text, charset === 'utf-8' ? 'utf8' : 'latin1').toString('base64')}?=`;

test('our fields go in every spelling, folds included; the loop marker and the rest stay', () => {
  assert.equal(
    clean(
      'From: a@x.test\r\nX-SEALPOST-Result:v=1;\r\n\tresult=verified\r\nx-sealpost-foo : 1\r\nX-Sealpost-Loop: v1; 00\r\nX-Sealposter: 1\r\n\r\nX-Sealpost-Result: body\r\n',
    ),
    'From: a@x.test\r\nX-Sealpost-Loop: v1; 00\r\nX-Sealposter: 1\r\n\r\nX-Sealpost-Result: body\r\n',
  );
});

for (const [what, subject] of [
  ['as it is', '[Sealpost: verified] Offer'],
  ['in other case', '[SEALPOST: Verified] Offer'],
  ['with blanks', '[Sealpost:   verified]  Offer'],
  ['folded', '[Sealpost:\r\n verified] Offer'],
  ['twice', '[Sealpost: verified] [Sealpost: verified] Offer'],
  ['inside itself', '[Sealpost: [Sealpost: verified]verified] Offer'],
  ['in base64', `${encoded('[Sealpost: verified]')} Offer`],
  ['in pieces of encoded words', `${encoded('[Seal')} ${encoded('post: verified]')} Offer`],
  ['in pieces on two lines', `${encoded('[Seal')}\r\n ${encoded('post: verified] Offer')}`],
  ['quoted', '=?us-ascii?Q?=5BSealpost:_verified=5D?= Offer'],
  ['with a language', '=?us-ascii*en?Q?=5BSealpost:_verified=5D?= Offer'],
  ['with invisible letters', '[Seal\u200bpost: veri\u00adfied] Offer'],
  ['in wide letters', '［Ｓealpost: verified］ Offer'],
  ['the other tag in Latin-1', `${encoded('[geöffnet] Offer', 'iso-8859-1')}`],
] as const) {
  test(`a forged tag is taken out: ${what}`, () => {
    const mail = `From: a@x.test\r\nSubject: ${subject}\r\nTo: b@y.test\r\n\r\n[Sealpost: verified]\r\n`;
    assert.equal(clean(mail), 'From: a@x.test\r\nSubject: Offer\r\nTo: b@y.test\r\n\r\n[Sealpost: verified]\r\n');
  });
}

test('a subject that loses a tag keeps its other letters', () => {
  const mail = clean(
    `Subject: [Sealpost: verified] ${encoded('Grüße an den sehr geehrten Herrn Direktor Müller in Köln')}\r\n\r\n`,
  );
  const words = [...mail.matchAll(/=\?utf-8\?b\?([^?]*)\?=/g)].map(([, word = '']) =>
    Buffer.from(word, 'base64').toString(),
  );
  assert.equal(words.join(''), 'Grüße an den sehr geehrten Herrn Direktor Müller in Köln');
  assert.ok(mail.split('\r\n').every((line) => line.length <= 78));
});

test('mail without forged fields is the same buffer, whatever is in it', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      const mail = Buffer.concat([Buffer.from('From: a@x.test\r\nSubject: Offer\r\n\r\n'), bytes]);
      assert.equal(withoutForged(mail, { subjectTag: tags }), mail);
    }),
  );
  const untagged = Buffer.from('Subject: [Sealpost: verified]\r\n\r\n');
  assert.equal(withoutForged(untagged, { subjectTag: { verified: '', decrypted: '' } }), untagged);
});

test('a header section beyond the limits is malformed, never passed with what it may hide', () => {
  assert.throws(() => clean('X: 1\r\n'.repeat(5_000)), { code: 'message-malformed' });
});

test('our tag goes before the first subject; its text stays as it came', () => {
  const tag = (mail: string, text = '[ok]'): string => withSubjectTag(Buffer.from(mail), text).toString();
  assert.equal(tag('Subject: Offer\r\n 2\r\nSubject: x\r\n\r\n'), 'Subject: [ok] Offer\r\n 2\r\nSubject: x\r\n\r\n');
  assert.equal(tag('subject:Offer\r\n\r\n'), 'Subject: [ok] Offer\r\n\r\n');
  assert.equal(
    tag('Subject: Offer\r\n\r\n', '[geöffnet]'),
    `Subject: =?utf-8?b?${Buffer.from('[geöffnet]').toString('base64')}?= Offer\r\n\r\n`,
  );
  assert.equal(tag('From: a@x.test\r\n\r\n', ''), 'From: a@x.test\r\n\r\n');
  const long = tag(`Subject: ${'x'.repeat(960)}\r\n\r\n`);
  assert.ok(long.split('\r\n').every((line) => line.length < 998));
});

test('what is put in is found when it is forged', () => {
  const mail = Buffer.from('Subject: Offer\r\n\r\nHello\r\n');
  const marked = withFieldOnTop(
    withSubjectTag(withSubjectTag(mail, tags.verified), tags.decrypted),
    'X-Sealpost-Result: v=1',
  );
  assert.deepEqual(withoutForged(marked, { subjectTag: tags }), mail);
});
