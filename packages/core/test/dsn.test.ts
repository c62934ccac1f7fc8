// Reports: RFC 3464 fields, nothing of the body, no line that somebody else's text could break; the loop marker names its mail only.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { composeDsn, type DsnFacts, isOwnMarker, loopMarker, tenantId } from '../src/index.ts';

const facts: DsnFacts = {
  reportingMta: 'gw.alpha.test',
  from: 'postmaster@alpha.test',
  to: 'alice@alpha.test',
  recipients: [
    {
      recipient: { address: 'bob@beta.test', orcpt: 'rfc822;bob+2Bold@beta.test' },
      action: 'failed',
      status: '5.1.1',
      replyCode: 550,
      text: 'The next hop refused the message',
    },
  ],
  envid: 'env+0D+0AEvil: 1',
  arrivedAt: new Date('2026-01-02T03:04:05Z'),
  now: new Date('2026-01-02T04:04:05Z'),
  messageId: 'm0123-g0r1@gw.alpha.test',
  originalHeaders: Buffer.from('From: <alice@alpha.test>\r\nSubject: hello\r\n'),
};

test('a failure report has the three parts and the fields of RFC 3464', () => {
  const text = composeDsn(facts).toString();
  assert.match(text, /^Content-Type: multipart\/report; report-type=delivery-status;\r\n boundary="([^"]+)"/m);
  assert.match(text, /\r\nAuto-Submitted: auto-replied\r\n/);
  assert.match(
    text,
    /\r\nFinal-Recipient: rfc822; bob@beta\.test\r\nAction: failed\r\nStatus: 5\.1\.1\r\nDiagnostic-Code: smtp; 550 5\.1\.1\r\n/,
  );
  assert.match(text, /\r\nOriginal-Recipient: rfc822; bob\+old@beta\.test\r\n/);
  assert.match(text, /\r\nArrival-Date: Fri, 02 Jan 2026 03:04:05 \+0000\r\n/);
  assert.match(
    text,
    /\r\nContent-Type: text\/rfc822-headers\r\n\r\nFrom: <alice@alpha\.test>\r\nSubject: hello\r\n\r\n--/,
  );
  assert.doesNotMatch(text, /[^\r]\n/);
});

test('an ENVID with encoded line ends cannot add a field', () => {
  assert.match(composeDsn(facts).toString(), /\r\nOriginal-Envelope-Id: env\?\?Evil: 1\r\n/);
});

test('addresses beyond ASCII make it an internationalised report (RFC 6533)', () => {
  const [recipient] = facts.recipients;
  assert.ok(recipient);
  const text = composeDsn({
    ...facts,
    recipients: [{ ...recipient, recipient: { address: 'bøb@beta.test' } }],
  }).toString();
  assert.match(text, /message\/global-delivery-status/);
  assert.match(text, /Final-Recipient: utf-8; bøb@beta\.test/);
});

test('returned headers are bounded', () => {
  const huge = composeDsn({ ...facts, originalHeaders: Buffer.alloc(10_000_000, 'x') });
  assert.ok(huge.length < 80_000);
});

test('a loop marker is ours only for its tenant, direction and Message-ID', () => {
  const key = Buffer.alloc(32, 1);
  const marked = { tenant: tenantId('alpha'), direction: 'outbound', messageIdField: '<1@alpha.test>' } as const;
  const value = loopMarker(marked, key);
  assert.ok(isOwnMarker(value, marked, [Buffer.alloc(32, 2), key]));
  assert.ok(!isOwnMarker(value, { ...marked, direction: 'inbound' }, [key]));
  assert.ok(!isOwnMarker(value, { ...marked, messageIdField: '<2@alpha.test>' }, [key]));
  assert.ok(!isOwnMarker(value, { ...marked, tenant: tenantId('beta') }, [key]));
  assert.ok(!isOwnMarker('v1; 00', marked, [key]));
  assert.ok(!isOwnMarker(value, marked, []));
});
