import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fieldValues, headerSection } from '../src/header-section.ts';
import { readReply, recipientVerdict, verdictOf } from '../src/reply.ts';
import { routeFor } from '../src/route.ts';

test('replies: code and enhanced status of the same class, everything else is not a reply', () => {
  const cases: [string, unknown][] = [
    ['250 2.1.5 Ok', { code: 250, status: '2.1.5' }],
    ['250 Ok', { code: 250, status: '2.0.0' }],
    ['250', { code: 250, status: '2.0.0' }],
    ['550-5.1.1 No\n550 5.1.1 such', { code: 550, status: '5.1.1' }],
    ['550 4.1.1 wrong class', { code: 550, status: '5.0.0' }],
    ['550 5.1.1111 too long', { code: 550, status: '5.0.0' }],
    ['451 4.7.1', { code: 451, status: '4.7.1' }],
    ['354 go on', undefined],
    ['999 what', undefined],
    ['25', undefined],
    ['2500 x', undefined],
    ['250x', undefined],
    ['', undefined],
  ];
  for (const [text, expected] of cases) assert.deepEqual(readReply(text), expected, text);
});

test('verdicts: only a well-formed 2xx or 5xx is final', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const verdict = verdictOf(readReply(text));
      assert.equal(verdict === 'accepted', /^2\d\d(?:[ -]|[\r\n]|$)/.test(text));
      if (verdict === 'refused') assert.match(text, /^5/);
    }),
  );
  assert.equal(verdictOf({ code: 503, status: '5.5.1' }), 'deferred');
  assert.equal(recipientVerdict({ code: 552, status: '5.0.0' }), 'deferred');
  assert.equal(recipientVerdict({ code: 552, status: '5.2.2' }), 'refused');
});

test('header section and fields: any case, folded, none from the body', () => {
  const message = Buffer.from('received: a\r\n\tb\r\nX: 1\r\nRECEIVED : c\r\n\r\nReceived: body\r\n');
  const section = headerSection(message);
  assert.equal(section.toString(), 'received: a\r\n\tb\r\nX: 1\r\nRECEIVED : c\r\n');
  assert.deepEqual(fieldValues(section, 'Received'), ['a\tb', 'c']);
  assert.equal(headerSection(Buffer.from('\r\nReceived: body\r\n')).length, 0);
  assert.equal(headerSection(Buffer.from('X: 1\r\n')).toString(), 'X: 1\r\n');
  assert.deepEqual(fieldValues(Buffer.alloc(0), 'Received'), []);
});

test('routes: the first that fits direction and domain', () => {
  const rules = [
    { name: 'special', direction: 'outbound', domains: ['special.test'] },
    { name: 'in', direction: 'inbound' },
    { name: 'rest' },
  ] as const;
  assert.equal(routeFor(rules, 'outbound', 'a@SPECIAL.test')?.name, 'special');
  assert.equal(routeFor(rules, 'inbound', 'a@special.test')?.name, 'in');
  assert.equal(routeFor(rules, 'outbound', 'a@special.test.evil')?.name, 'rest');
  assert.equal(routeFor(rules.slice(0, 2), 'outbound', 'a@b'), undefined);
});
