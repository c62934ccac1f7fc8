// MIME torture by others: every message is read without loss, and comes back as it was after being signed, encrypted, decrypted and verified.

import assert from 'node:assert/strict';
import { inspect, open, protect, readEntity, readHeaders } from '@sealpost/smime';
import { ca, keysOf, NOW, person } from '../../packages/smime/test/people.ts';
import type { Case } from './case.ts';
import { read, readJson, rowsOf } from './material.ts';

const alice = person('alice');
const bob = person('bob');
const keys = keysOf(alice, bob);
const protection = {
  keys,
  sign: { certificate: alice.certificate },
  encrypt: { recipients: [bob.certificate] },
  now: NOW,
};
// The signer stands in for whoever the torture message is from, at whatever date.
const opening = { keys, recipients: [bob.certificate], trust: [ca], at: NOW, from: alice.address };

export function mimeCases(): Case[] {
  return rowsOf('mime-tools', 'mime-misc', 'cpython-email', 'thunderbird-mime').map(({ set, file }) => ({
    set,
    name: file,
    run: () => survives(asReceived(read(file))),
  }));
}

/** Line ends as an SMTP server would have taken them. */
function asReceived(file: Buffer): Buffer {
  return Buffer.from(file.toString('latin1').replace(/\r\n|\r|\n/g, '\r\n'), 'latin1');
}

async function survives(message: Buffer): Promise<void> {
  const entity = readEntity(message);
  const head = Buffer.concat(readHeaders(message).map(({ raw }) => raw));
  assert.ok(message.subarray(0, head.length).equals(head), 'the header is read without loss');
  assert.ok(message.subarray(message.length - entity.body.length).equals(entity.body));
  inspect(message);
  const result = await open(await protect(message, protection), opening);
  assert.ok(result.kind === 'opened' && result.verdict.signers.every(({ integrity }) => integrity === 'valid'));
  const back = readEntity(result.message);
  const fieldsOf = (fields: typeof back.fields) =>
    fields
      .filter(({ name }) => name !== 'mime-version' && !name.startsWith('content-'))
      .map(({ raw }) => raw.toString('latin1'));
  assert.deepEqual(fieldsOf(back.fields), fieldsOf(entity.fields));
  if (isPlainText(entity.body)) assert.ok(back.body.equals(entity.body), 'the body comes back octet for octet');
}

/** What may go as 7bit; anything else is re-encoded before it is signed. */
function isPlainText(body: Buffer): boolean {
  const text = body.toString('latin1');
  return /^[\x01-\x7f]*$/.test(text) && !/[^\r\n]{999}/.test(text);
}

interface Sequences {
  readonly must_not_end_data_and_must_not_be_forwarded_raw: readonly string[];
  readonly extra_from_CVE_reports: readonly string[];
}

/** Line ends that SMTP forbids, NUL among them. */
const unsafe = /\r(?!\n)|(?<!\r)\n|\0/;

/** Sequences that some server takes for the end of DATA: nothing that the engine makes or opens hands one on. */
export function smugglingCases(): Case[] {
  const { must_not_end_data_and_must_not_be_forwarded_raw: raw, extra_from_CVE_reports: more } = readJson<Sequences>(
    'smtp-smuggling/sequences.json',
  );
  return [...raw, ...more].map((sequence) => ({
    set: 'smtp-smuggling',
    name: JSON.stringify(sequence),
    run: async () => {
      const head = `From: ${alice.address}\r\nTo: bob@example.test\r\n\r\n`;
      const message = Buffer.from(`${head}one${sequence}MAIL FROM:<eve@example.test>\r\n`, 'latin1');
      for (const opaque of [false, true]) {
        const sign = { ...protection.sign, opaque };
        const signed = await protect(message, { keys, sign, now: NOW });
        assert.ok(!unsafe.test(signed.toString('latin1')));
        const result = await open(await protect(message, { ...protection, sign }), opening);
        assert.ok(result.kind === 'opened' && result.verdict.verified);
        assert.ok(!unsafe.test(result.message.toString('latin1')));
      }
    },
  }));
}
