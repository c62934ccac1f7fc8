// The forms in which S/MIME arrives: wrong labels, other encodings, shared secrets, several signers, compression.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { CONTENT_TYPE, ZLIB_COMPRESS } from '../src/cms/oids.ts';
import { contentInfo } from '../src/cms/pieces.ts';
import { inspect, isObject, type OpenedObject, open, openObject, type Verdict } from '../src/index.ts';
import { algorithmIdentifier, explicit, integer, octetString, oid, sequence } from '../src/pki/der-write.ts';
import { Openssl } from './openssl.ts';
import { ca, keysOf, NOW, person } from './people.ts';

const openssl = new Openssl();
after(() => openssl.close());

const alice = person('alice', 'rsa');
const carol = person('carol', 'p256');
const bob = person('bob', 'rsa');
const ENTITY = 'Content-Type: text/plain; charset=us-ascii\r\n\r\nThe text.\r\n';
const options = { keys: keysOf(bob), recipients: [bob.certificate], trust: [ca], at: NOW };

const signer = (who: typeof alice) => [
  '-signer',
  openssl.certificate(who.certificate),
  '-inkey',
  openssl.key(who.privateKey),
];
const der = (args: readonly string[]) =>
  openssl.run(['cms', args[0] ?? '', '-binary', '-outform', 'DER', ...args.slice(1)], Buffer.from(ENTITY));
const enveloped = der(['-encrypt', '-aes256', openssl.certificate(bob.certificate)]);

function content(result: OpenedObject): string {
  assert.equal(result.kind, 'opened');
  return result.kind === 'opened' ? result.content.toString() : '';
}

function message(type: string, encoding: string, body: Buffer): Buffer {
  const head = `From: ${alice.address}\r\nContent-Type: ${type}\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

const base64 = Buffer.from(enveloped.toString('base64'));
for (const [type, encoding, body] of [
  ['application/pkcs7-mime; smime-type=enveloped-data', 'base64', base64],
  ['application/x-pkcs7-mime', 'base64', Buffer.from(enveloped.toString('base64').replace(/.{1,61}/g, '$&\r\n'))],
  ['application/pkcs7-mime; smime-type=signed-data', 'base64', base64],
  ['application/octet-stream; name="smime.p7m"', 'base64', base64],
  ['application/octet-stream; name*0="smime"; name*1=".P7M"', 'base64', base64],
  ['application/pkcs7-mime', 'binary', enveloped],
  ['application/pkcs7-mime', '8bit', enveloped],
  [
    'application/pkcs7-mime',
    'quoted-printable',
    Buffer.from(
      [...enveloped]
        .map((octet) => `=${octet.toString(16).toUpperCase().padStart(2, '0')}`)
        .join('')
        .replace(/.{75}/g, '$&=\r\n'),
    ),
  ],
  ['application/pkcs7-mime', '7bit', base64],
  [
    'application/pkcs7-mime',
    'base64',
    Buffer.from(Buffer.from(`-----BEGIN CMS-----\n${base64}\n-----END CMS-----\n`).toString('base64')),
  ],
  ['application/pkcs7-signature; name=smime.p7m', 'base64', base64],
] as const) {
  test(`enveloped data opens as ${type} in ${encoding}`, async () => {
    const result = await open(message(type, encoding, body), options);
    assert.equal(result.kind, 'opened');
    assert.ok(result.kind === 'opened' && result.message.includes('The text.') && result.verdict.encrypted);
  });
}

test('an octet-stream that is no CMS object stays plain, a pkcs7-mime that is none is broken', async () => {
  const text = Buffer.from('not cms');
  assert.equal((await open(message('application/octet-stream; name=a.p7m', '7bit', text), options)).kind, 'plain');
  assert.equal((await open(message('application/pkcs7-mime', '7bit', text), options)).kind, 'broken');
});

test('two signers: all is well, and one broken one denies', async () => {
  const made = der(['-sign', ...signer(alice), ...signer(carol), '-nodetach']);
  const good = await openObject(made, { ...options, from: carol.address });
  assert.equal(good.verdict.signers.length, 2);
  assert.equal(good.verdict.verified, true);
  const spoiled = Buffer.from(made);
  spoiled[made.length - 1] = (made.at(-1) ?? 0) ^ 1;
  const bad = await openObject(spoiled, { ...options, from: carol.address });
  assert.deepEqual(bad.verdict.signers.map(({ integrity }) => integrity).sort(), ['broken', 'valid']);
  assert.equal(bad.verdict.problem, 'signature-broken');
});

test('facts of two signers do not add up', async () => {
  // Alice's certificate names the address but is not trusted; Carol's is trusted but names another.
  const stranger = person('stranger', 'p384');
  const made = der(['-sign', ...signer(stranger), ...signer(carol), '-nodetach']);
  const result = await openObject(made, { ...options, from: 'nobody@example.test' });
  assert.equal(result.verdict.problem, 'from-mismatch');
});

test('certificates only are named as such', async () => {
  const made = openssl.run([
    'crl2pkcs7',
    '-nocrl',
    '-certfile',
    openssl.certificate(alice.certificate),
    '-outform',
    'DER',
  ]);
  const { verdict } = await openObject(made, options);
  const [layer] = verdict.layers;
  assert.ok(layer?.kind === 'certs-only' && layer.certificates[0] === alice.certificate);
  assert.equal(verdict.signed, false);
});

test('a signature without content asks for it', async () => {
  const result = await openObject(der(['-sign', ...signer(alice)]), options);
  assert.ok(result.kind === 'broken' && result.error.code === 'content-missing');
});

test('key encryption keys and passwords open', async () => {
  const key = '00112233445566778899aabbccddeeff';
  const kek = der(['-encrypt', '-aes128', '-secretkey', key, '-secretkeyid', 'c0ffee']);
  const id = Buffer.from('c0ffee', 'hex');
  const keys = [{ id, key: Buffer.from(key, 'hex') }];
  assert.equal(content(await openObject(kek, { ...options, secrets: { keys } })), ENTITY);
  assert.equal(
    (await openObject(kek, { ...options, secrets: { keys: [{ id: Buffer.of(1), key: id }] } })).kind,
    'undecryptable',
  );
  const password = der(['-encrypt', '-aes256', '-pwri_password', 'sesame']);
  const secrets = { passwords: [Buffer.from('wrong'), Buffer.from('sesame')] };
  assert.equal(content(await openObject(password, { ...options, secrets })), ENTITY);
  assert.equal(
    (await openObject(password, { ...options, secrets: { passwords: [Buffer.from('x')] } })).kind,
    'undecryptable',
  );
});

test('encrypted data opens with the agreed key', async () => {
  const key = '00112233445566778899aabbccddeeff';
  const made = der(['-EncryptedData_encrypt', '-aes-128-cbc', '-secretkey', key]);
  const secrets = { keys: [{ key: Buffer.from(key, 'hex') }] };
  assert.equal(content(await openObject(made, { ...options, secrets })), ENTITY);
});

test('a key without its certificate opens on a desk', async () => {
  const base = { ...options, keys: keysOf(), recipients: [] };
  assert.equal(content(await openObject(enveloped, { ...base, secrets: { privateKeys: [bob.privateKey] } })), ENTITY);
  assert.equal((await openObject(enveloped, base)).kind, 'undecryptable');
});

function compressed(octets: Buffer): Buffer {
  const inner = sequence(oid(CONTENT_TYPE.data), explicit(0, octetString(deflateSync(octets))));
  const body = sequence(integer(0), algorithmIdentifier(ZLIB_COMPRESS), inner);
  return Buffer.concat(contentInfo(CONTENT_TYPE.compressedData, [body]));
}

test('compressed data opens, and a bomb does not', async () => {
  assert.equal(content(await openObject(compressed(Buffer.from(ENTITY)), options)), ENTITY);
  const bomb = await openObject(compressed(Buffer.alloc(64 << 20)), options);
  assert.ok(bomb.kind === 'broken' && bomb.error.code === 'limit-exceeded');
});

test('BER with indefinite lengths and chunked strings reads like DER', async () => {
  const made = openssl.run(
    ['cms', '-sign', ...signer(alice), '-nodetach', '-stream', '-indef', '-outform', 'DER', '-binary'],
    Buffer.from(ENTITY.repeat(2000)),
  );
  assert.equal(made[1], 0x80);
  const { verdict }: { verdict: Verdict } = await openObject(made, { ...options, from: alice.address });
  assert.equal(verdict.verified, true);
});

test('what we call a bare object', () => {
  assert.ok(isObject(enveloped) && isObject(base64));
  assert.ok(isObject(Buffer.from(`text before\n-----BEGIN PKCS7-----\n${base64}\n-----END PKCS7-----\n`)));
  assert.ok(
    !isObject(message('application/pkcs7-mime', 'base64', base64)) && !isObject(Buffer.from('MIME-Version: 1.0\r\n')),
  );
});

test('inspect tells the kinds of mail apart', () => {
  const kind = (fields: string, body = '') => inspect(Buffer.from(`From: A <a@x.test>\r\n${fields}\r\n\r\n${body}`));
  assert.equal(kind('Subject: x').protection, 'none');
  assert.deepEqual(kind('Subject: x').fromAddresses, ['a@x.test']);
  assert.equal(kind('Content-Type: application/pkcs7-mime').protection, 'encrypted');
  assert.equal(kind('Content-Type: application/pkcs7-mime; smime-type=signed-data').protection, 'signed');
  assert.equal(kind('Content-Type: application/pkcs7-mime; smime-type=certs-only').protection, 'certs-only');
  assert.equal(kind('Content-Type: multipart/signed; protocol="application/pkcs7-signature"').protection, 'signed');
  assert.equal(kind('Content-Type: multipart/signed; protocol="application/pgp-signature"').protection, 'pgp');
  assert.equal(kind('Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"').protection, 'pgp');
  assert.equal(kind('Content-Type: text/plain', '-----BEGIN PGP MESSAGE-----').protection, 'pgp');
  const list = 'Content-Type: multipart/mixed; boundary=b';
  assert.equal(kind(list, '--b\r\nContent-Type: application/pkcs7-mime\r\n\r\n--b--').protection, 'partly');
  assert.equal(kind(list, '--b\r\nContent-Type: text/calendar\r\n\r\n--b--').isCalendar, true);
  assert.equal(kind('Content-Type: multipart/report; report-type=delivery-status').isReport, true);
  assert.equal(kind('Auto-Submitted: auto-replied').isAutoReply, true);
  assert.equal(kind('Auto-Submitted: no').isAutoReply, false);
});
