// What open says about messages that are not simply right: each fact that fails denies, and is named.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import {
  type Certificate,
  issueCertificate,
  localKeys,
  type Opened,
  open,
  openObject,
  protect,
  type SignOptions,
  type Verdict,
} from '../src/index.ts';
import { typeOf } from '../src/mime/canonical.ts';
import { boundaryOf } from '../src/mime/content-type.ts';
import { readEntity } from '../src/mime/header.ts';
import { readMultipart } from '../src/mime/multipart.ts';
import { ca, keysOf, mail, NOW, person } from './people.ts';

const alice = person('alice');
const bob = person('bob');
const TEXT = 'pay 100\r\n';
const options = { keys: keysOf(bob), recipients: [bob.certificate], trust: [ca], at: NOW };

function signed(message = mail(alice.address, TEXT), sign: Partial<SignOptions> = {}, signer = alice): Promise<Buffer> {
  return protect(message, { keys: keysOf(signer), sign: { certificate: signer.certificate, ...sign }, now: NOW });
}

function encrypted(message: Buffer): Promise<Buffer> {
  return protect(message, { keys: keysOf(), encrypt: { recipients: [bob.certificate] }, now: NOW });
}

function verdictOf(result: Opened): Verdict {
  assert.notEqual(result.kind, 'plain');
  return (result as Exclude<Opened, { kind: 'plain' }>).verdict;
}

async function judged(message: Buffer, changed: Partial<Parameters<typeof open>[1]> = {}): Promise<Verdict> {
  return verdictOf(await open(message, { ...options, ...changed }));
}

function replaced(message: Buffer, from: string, to: string): Buffer {
  assert.ok(message.includes(from));
  return Buffer.from(message.toString('latin1').replace(from, to), 'latin1');
}

test('clear-signed mail keeps its signature and is not changed', async () => {
  const made = await signed();
  const result = await open(made, options);
  assert.ok(result.kind === 'opened' && !result.changed && result.message === made);
  assert.equal(result.verdict.verified, true);
  assert.deepEqual(result.verdict.from, { match: true, address: alice.address });
});

test('strip takes signatures off: all, none, or those that were inside encryption', async () => {
  const both = await encrypted(await signed());
  for (const [strip, inSigned, inBoth] of [
    ['decrypted', false, true],
    ['all', true, true],
    ['none', false, false],
  ] as const) {
    const clear = await open(await signed(), { ...options, strip });
    const wrapped = await open(both, { ...options, strip });
    assert.ok(clear.kind === 'opened' && wrapped.kind === 'opened');
    assert.equal(!clear.message.includes('multipart/signed'), inSigned);
    assert.equal(!wrapped.message.includes('multipart/signed'), inBoth);
    assert.equal(wrapped.verdict.verified, true);
  }
});

test('somebody else in From is not verified', async () => {
  const forged = replaced(await signed(), '<alice@', '<mallory@');
  assert.equal((await judged(forged)).problem, 'from-mismatch');
  assert.equal((await judged(forged, { from: alice.address })).verified, true);
  assert.equal((await judged(forged, { from: false })).verified, true);
});

for (const [name, from] of [
  ['no From', ''],
  ['a second From field', 'From: alice@example.test\r\nFrom: mallory@example.test\r\n'],
  ['a second address', 'From: alice@example.test, mallory@example.test\r\n'],
  ['another case of the local part', 'From: ALICE@example.test\r\n'],
  ['the address as display name', 'From: "alice@example.test" <mallory@example.test>\r\n'],
] as const) {
  test(`${name} is not verified`, async () => {
    const forged = replaced(await signed(), 'From: "A. Sender" <alice@example.test>\r\n', from);
    assert.equal((await judged(forged)).problem, 'from-mismatch');
  });
}

test('a domain in another case is the same address', async () => {
  assert.equal((await judged(replaced(await signed(), '@example.test>', '@EXAMPLE.Test>'))).verified, true);
});

test('the Sender is told and never enough', async () => {
  const message = mail('boss@example.test', TEXT, 'Sender: alice@example.test\r\nContent-Type: text/plain\r\n');
  const verdict = await judged(await signed(message));
  assert.equal(verdict.problem, 'from-mismatch');
  assert.deepEqual(verdict.from, { match: false, address: 'boss@example.test', sender: 'alice@example.test' });
});

test('who sent a message on is told and never enough, and does not take from who wrote it', async () => {
  const text = await signed();
  const resent = (by: string) => Buffer.concat([Buffer.from(`Resent-From: ${by}\r\nResent-Date: x\r\n`), text]);
  const forwarded = await judged(resent('carol@example.test'));
  assert.equal(forwarded.verified, true);
  assert.deepEqual(forwarded.from, { match: true, address: alice.address });
  const posed = await judged(replaced(resent(alice.address), '<alice@', '<boss@'));
  assert.equal(posed.problem, 'from-mismatch');
  assert.deepEqual(posed.from, { match: false, address: 'boss@example.test', resent: alice.address });
});

test('an unknown root, a root that comes along, and the wrong time are not trusted', async () => {
  const made = await signed(undefined, { chain: [ca] });
  assert.equal((await judged(made, { trust: [] })).problem, 'untrusted');
  const late = await judged(made, { at: new Date('2029-01-01') });
  assert.equal(late.problem, 'untrusted');
  assert.ok(late.signers[0]?.path?.ok === false);
  assert.equal((await judged(made, { trust: [], path: false })).verified, true);
});

test('another Date than the signing time is not verified', async () => {
  const dated = (date: string) => signed(mail(alice.address, TEXT, `Date: ${date}\r\nContent-Type: text/plain\r\n`));
  assert.equal((await judged(await dated('Mon, 1 Jun 2026 14:30:00 +0200 (CEST)'))).verified, true);
  const verdict = await judged(await dated('Tue, 2 Jun 2026 14:00:00 +0200'));
  assert.equal(verdict.verified, false);
  assert.deepEqual(verdict.weaknesses, ['date-mismatch']);
});

test('changed text is broken', async () => {
  const verdict = await judged(replaced(await signed(), 'pay 100', 'pay 999'));
  assert.equal(verdict.problem, 'signature-broken');
  assert.equal(verdict.signers[0]?.problem, 'content-changed');
});

test('text that lost its CR on the way still verifies; text that was signed without never', async () => {
  const made = await signed(mail(alice.address, 'one\r\ntwo\r\n'));
  const lines = Buffer.from(made.toString('latin1').replaceAll('\r\n', '\n'), 'latin1');
  assert.equal((await judged(lines)).verified, true);
  // A sender that hashes LF: sign the LF form, then restore CRLF as a mail server does.
  const sign = { certificate: alice.certificate };
  const { signContent } = await import('../src/cms/sign.ts');
  const part = 'Content-Type: text/plain\n\none\ntwo\n';
  const algorithm = { scheme: 'ecdsa', digest: 'sha256' } as const;
  const request = { content: [Buffer.from(part)], ...sign, chain: [], algorithm, signingTime: NOW, opaque: false };
  const object = Buffer.concat(await signContent(request, keysOf(alice)));
  const crlf = part.replaceAll('\n', '\r\n');
  for (const text of [part, crlf]) {
    const verdict = await judged(clearSigned(text, object));
    assert.equal(verdict.problem, 'signature-broken');
    assert.deepEqual(verdict.weaknesses, ['signed-over-lf']);
  }
  // A file beside its signature is no mail text: it is what was signed, or it is not.
  assert.equal((await openObject(object, options, Buffer.from(part))).verdict.verified, true);
  const { verdict } = await openObject(object, options, Buffer.from(crlf));
  assert.deepEqual([verdict.problem, ...verdict.weaknesses], ['signature-broken', 'signed-over-lf']);
});

function clearSigned(part: string, object: Buffer): Buffer {
  return Buffer.from(
    `From: ${alice.address}\r\nContent-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary=b\r\n\r\n` +
      `--b\r\n${part}\r\n--b\r\nContent-Type: application/pkcs7-signature\r\n` +
      `Content-Transfer-Encoding: base64\r\n\r\n${object.toString('base64')}\r\n--b--\r\n`,
  );
}

test('a detached signature that brings other content is broken', async () => {
  const opaque = await signed(undefined, { opaque: true });
  const object = Buffer.from(readEntity(opaque).body.toString(), 'base64');
  const message = clearSigned('Content-Type: text/plain\r\n\r\nother', object);
  assert.equal((await judged(message)).problem, 'signature-broken');
});

test('a list footer beside a signed part is partly signed, never signed', async () => {
  const made = await signed();
  const type = boundaryOf(typeOf(readEntity(made).fields)) ?? '';
  const [part = Buffer.alloc(0)] = readMultipart(readEntity(made).body, type).parts;
  const inner = made.subarray(made.indexOf('Content-Type: multipart/signed')).toString('latin1');
  const wrapped = Buffer.from(
    `From: ${alice.address}\r\nContent-Type: multipart/mixed; boundary=list\r\n\r\n--list\r\n${inner}\r\n` +
      '--list\r\nContent-Type: text/plain\r\n\r\nfooter\r\n--list--\r\n',
  );
  const result = await open(wrapped, options);
  assert.ok(result.kind === 'opened' && result.message === wrapped && part.length > 0);
  assert.equal(result.verdict.signed, false);
  assert.equal(result.verdict.problem, 'partly-signed');
  const added = replaced(made, `--${type}--`, `--${type}\r\n\r\nfooter\r\n--${type}--`);
  const footed = await open(added, { ...options, strip: 'all' });
  assert.ok(footed.kind === 'opened' && footed.message === added);
  assert.equal(footed.verdict.problem, 'partly-signed');
});

test('an encrypted part amid foreign text is left alone (EFAIL)', async () => {
  const secret = await encrypted(mail(alice.address, TEXT));
  const inner = secret.subarray(secret.indexOf('Content-Type: application/pkcs7-mime')).toString('latin1');
  const wrapped = Buffer.from(
    `From: ${alice.address}\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n` +
      `--x\r\nContent-Type: text/html\r\n\r\n<img src="http://evil.test/\r\n--x\r\n${inner}\r\n--x--\r\n`,
  );
  const result = await open(wrapped, options);
  assert.ok(result.kind === 'opened' && result.message === wrapped);
  assert.equal(result.verdict.encrypted, false);
  assert.equal(result.verdict.problem, 'partly-encrypted');
  const inSigned = await judged(await signed(wrapped));
  assert.equal(inSigned.problem, 'partly-encrypted');
});

test('triple wrapped mail is read to the core', async () => {
  const made = await signed(await encrypted(await signed()));
  const result = await open(made, options);
  assert.ok(result.kind === 'opened');
  assert.deepEqual(
    result.verdict.layers.map(({ kind }) => kind),
    ['signed', 'encrypted', 'signed'],
  );
  assert.equal(result.verdict.verified, true);
});

test('wrapping a broken signature in a good one does not mend it', async () => {
  const broken = replaced(await signed(), 'pay 100', 'pay 999');
  assert.equal((await judged(await signed(broken))).problem, 'signature-broken');
});

test('a signature inside by somebody else: who is shown must not depend on the program', async () => {
  const inner = (opaque: boolean) => signed(mail(bob.address, TEXT), { opaque }, bob);
  for (const [inside, outside] of [
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ] as const) {
    const made = await signed(await inner(inside), { opaque: outside }, alice);
    const message = replaced(made, `<${bob.address}>`, `<${alice.address}>`);
    for (const changed of [{}, { from: false }] as const) {
      const { verified, problem } = await judged(message, changed);
      // Opaque in opaque every program shows the outer one; a part in clear Thunderbird shows as the message's own.
      assert.equal(problem, inside && outside ? undefined : 'other-inner-signer');
      assert.equal(verified, inside && outside);
    }
  }
  const twice = await signed(await signed(), {}, alice);
  assert.equal((await judged(twice)).verified, true);
});

test('a signer without certificate is found among known ones, else unchecked', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const request = { subject: { commonName: 'x' }, publicKey, notBefore: NOW, notAfter: new Date('2027-01-01') };
  const other = issueCertificate({ ...request, profile: 'ca', issuer: { certificate: 'self', privateKey } });
  const made = await signed();
  const der = alice.certificate.der;
  // The certificate in the message is exchanged for another one: the signer is no longer in it.
  const object = readEntity(
    readMultipart(readEntity(made).body, boundaryOf(typeOf(readEntity(made).fields)) ?? '').parts[1] ?? made,
  ).body;
  const bytes = Buffer.from(object.toString(), 'base64');
  const at = bytes.indexOf(der);
  assert.ok(at > 0 && other.der.length > 0);
  bytes[at + der.length - 1] = (bytes[at + der.length - 1] ?? 0) ^ 1;
  const content = readMultipart(readEntity(made).body, boundaryOf(typeOf(readEntity(made).fields)) ?? '').parts[0];
  const verdict = (await openObject(bytes, options, content)).verdict;
  // The spoiled copy has the same name but is not the certificate that signed attributes name.
  assert.equal(verdict.verified, false);
  const known = await openObject(bytes, { ...options, intermediates: [alice.certificate] }, content);
  assert.equal(known.verdict.verified, true);
});

test('an address in the subject counts only by policy and without one in the subjectAltName', async () => {
  const { readFileSync, existsSync } = await import('node:fs');
  const file = new URL('../../../../shared/corpus/thunderbird/mailnews/test/data/smime/', import.meta.url);
  if (!existsSync(file)) return;
  const message = readFileSync(new URL('alice.sig.SHA256.opaque.eml', file));
  const at = new Date('2026-02-01');
  const { parseCertificates } = await import('../src/index.ts');
  const trust: Certificate[] = parseCertificates(readFileSync(new URL('TestCA.pem', file)));
  const base = { keys: localKeys([]), recipients: [], trust, at };
  assert.equal(verdictOf(await open(message, base)).verified, true);
  assert.equal(verdictOf(await open(message, { ...base, subjectAddresses: false })).problem, 'from-mismatch');
});

test('a path that held before holds only while its certificates are given, trusted and valid', async () => {
  const root = person('alice', 'ed25519');
  const message = await protect(mail(root.address, 'x'), {
    keys: keysOf(root),
    sign: { certificate: root.certificate },
    now: NOW,
  });
  const verify = async (trust: Certificate[], at: Date) => {
    const result = await open(message, { keys: keysOf(), recipients: [], trust, at });
    return result.kind === 'opened' && result.verdict.verified;
  };
  const far = new Date('2040-01-01T00:00:00Z');
  assert.equal(await verify([ca], NOW), true);
  assert.equal(await verify([ca], NOW), true);
  assert.equal(await verify([], NOW), false);
  assert.equal(await verify([ca], far), false);
  assert.equal(await verify([ca], NOW), true);
});
