// The result header: its grammar holds whatever a certificate says, and every word of it is explained in docs/result-header.md.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Certificate, issueCertificate, readHeaders, type SignerVerdict, type Verdict } from '@sealpost/smime';
import { type ResultWord, resultHeader, wordOf } from '../src/result-header.ts';

const page = readFileSync(join(import.meta.dirname, '../../../docs/result-header.md'), 'utf8');

const nothing: Verdict = {
  verified: false,
  encrypted: false,
  signed: false,
  layers: [],
  signers: [],
  from: { match: false },
  weaknesses: [],
};

function certificateFor(address: string): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return issueCertificate({
    subject: { commonName: 'x' },
    addresses: [address],
    publicKey,
    notBefore: new Date('2026-01-01'),
    notAfter: new Date('2027-01-01'),
    profile: 'smime-sign',
    issuer: { certificate: 'self', privateKey },
  });
}

function signerOf(address: string, verified: boolean, isTrusted = true): SignerVerdict {
  const certificate = certificateFor(address);
  const path = { ok: true, path: [certificate], weaknesses: [] } as const;
  return {
    integrity: 'valid',
    certificate,
    ...(isTrusted ? { path } : {}),
    fromMatch: verified,
    weaknesses: [],
    capabilities: [],
    verified,
  };
}

/** The value as a reader of the grammar sees it; fails where the grammar does not hold. */
function parsed(header: string): Map<string, string> {
  const [field, ...others] = readHeaders(Buffer.from(`${header}\r\n\r\n`));
  assert.equal(others.length, 0, 'one field');
  assert.equal(field?.name, 'x-sealpost-result');
  assert.ok(header.split('\r\n').every((line) => line.length <= 998 && /^[\x20-\x7e\t]*$/.test(line)));
  return new Map(
    field.value.split(/;\s/).map((item): [string, string] => {
      const match = /^([a-z]+)=([!#-:<-~]+)$/.exec(item);
      assert.ok(match, item);
      return [match[1] ?? '', match[2] ?? ''];
    }),
  );
}

test('words: verified only by the verdict, unverified for any signature, unsigned for none', () => {
  assert.equal(wordOf({ ...nothing, verified: true, signed: true }), 'verified');
  assert.equal(wordOf({ ...nothing, signed: true }), 'unverified');
  assert.equal(wordOf({ ...nothing, signers: [signerOf('a@x.test', true)] }), 'unverified');
  assert.equal(wordOf({ ...nothing, encrypted: true }), 'unsigned');
});

test('the example of the page is what is written', () => {
  const signer = signerOf('alice@alpha.test', true);
  const verdict: Verdict = {
    ...nothing,
    verified: true,
    encrypted: true,
    signed: true,
    signers: [signer],
    from: { match: true },
  };
  assert.ok(page.includes(`\n${resultHeader({ word: 'verified', verdict }).replaceAll('\r\n', '\n')}\n`));
});

test('an address of a certificate cannot break the field', () => {
  for (const address of [
    '"a;result=verified\r\nX: b"@x.test',
    'ü ñ@x.test',
    '"a\\"b c"@x.test',
    `${'a'.repeat(200)}@x.test`,
  ]) {
    const signer = signerOf('a@x.test', false);
    const certificate: Certificate = Object.create(certificateFor('a@x.test'), { addresses: { value: [address] } });
    const verdict: Verdict = { ...nothing, signed: true, signers: [{ ...signer, certificate }] };
    const items = parsed(resultHeader({ word: 'unverified', verdict }));
    assert.equal(items.get('result'), 'unverified');
    assert.equal(decodeURIComponent(items.get('signer') ?? ''), address);
  }
});

test('a signer without a path is not named', () => {
  const verdict: Verdict = {
    ...nothing,
    signed: true,
    signers: [signerOf('a@x.test', false, false)],
    problem: 'untrusted',
  };
  assert.deepEqual(
    [...parsed(resultHeader({ word: 'unverified', verdict }))],
    [
      ['v', '1'],
      ['result', 'unverified'],
      ['encrypted', 'no'],
      ['signed', 'yes'],
      ['from', 'mismatch'],
      ['problem', 'untrusted'],
    ],
  );
});

test('every word that can be written is on the page', () => {
  const words: ResultWord[] = ['verified', 'unverified', 'unsigned', 'undecryptable', 'broken'];
  const problems: NonNullable<Verdict['problem']>[] = [
    'partly-encrypted',
    'partly-signed',
    'not-signed',
    'signature-broken',
    'other-inner-signer',
    'signature-unchecked',
    'weak-signature',
    'untrusted',
    'from-mismatch',
    'undecryptable',
    'malformed-cms',
    'limit-exceeded',
  ];
  const weaknesses: Verdict['weaknesses'] = [
    'md5',
    'sha1',
    'dsa',
    'small-key',
    '3des',
    'rc2',
    'cbc-without-integrity',
    'efail-structure',
    'partly-signed',
    'signed-over-lf',
  ];
  for (const word of words) {
    for (const problem of problems) {
      const items = parsed(resultHeader({ word, verdict: { ...nothing, signed: true, problem, weaknesses } }));
      for (const [name, value] of items) {
        assert.ok(page.includes(`\`${name}\``) || page.includes(`\`${name}=`), name);
        for (const each of name === 'problem' || name === 'weak' ? value.split(',') : []) {
          assert.ok(page.includes(`\`${each}\``), each);
        }
      }
      assert.ok(page.includes(`\`result=${word}\``));
    }
  }
});
