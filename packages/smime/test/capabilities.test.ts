// How content is encrypted follows from what all recipients are known to read (RFC 8551 §2.7.1, RFC 4262).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readOaepParameters } from '../src/cms/rsa-transport.ts';
import { readAlgorithm } from '../src/cms/signed-data.ts';
import { type Certificate, type EncryptOptions, encryptObject, open, openObject, protect } from '../src/index.ts';
import { readEntity } from '../src/mime/header.ts';
import { readDer, TAG } from '../src/pki/der.ts';
import { algorithmIdentifier, explicit, NULL, sequence } from '../src/pki/der-write.ts';
import { extension, forge } from './forge.ts';
import { keysOf, mail, NOW, type Person, person } from './people.ts';

const GCM = algorithmIdentifier('2.16.840.1.101.3.4.1.46');
const CBC = algorithmIdentifier('2.16.840.1.101.3.4.1.42');
const SHA256 = algorithmIdentifier('2.16.840.1.101.3.4.2.1', NULL);
const SHA384 = algorithmIdentifier('2.16.840.1.101.3.4.2.2', NULL);
const MGF1 = '1.2.840.113549.1.1.8';

function oaep(digest: Buffer, mask: Buffer = digest): Buffer {
  return algorithmIdentifier(
    '1.2.840.113549.1.1.7',
    sequence(explicit(0, digest), explicit(1, algorithmIdentifier(MGF1, mask))),
  );
}

/** Somebody whose certificate names these capabilities; `kind` as in person(). */
function capable(kind: 'rsa' | 'p256', ...capabilities: Buffer[]): Person {
  const like = person('like', kind);
  const keys = { privateKey: like.privateKey, publicKey: like.certificate.publicKey };
  const said = extension('1.2.840.113549.1.9.15', sequence(...capabilities));
  return { ...like, certificate: forge('Capable', [said], undefined, { keys }).certificate };
}

async function made(recipients: readonly Person[], more: Partial<EncryptOptions> = {}) {
  const certificates = recipients.map(({ certificate }) => certificate);
  const encrypt = { recipients: certificates, ...more };
  const message = await protect(mail('alice@example.test', 'text\r\n'), { keys: keysOf(), encrypt, now: NOW });
  for (const recipient of recipients) {
    const result = await open(message, {
      keys: keysOf(recipient),
      recipients: [recipient.certificate],
      trust: [],
      at: NOW,
    });
    assert.ok(result.kind === 'opened' && result.message.includes('text'));
  }
  const object = Buffer.from(readEntity(message).body.toString(), 'base64');
  return { gcm: message.includes('authEnveloped-data'), oaep: oaepOf(object) };
}

/** The digest of the OAEP identifier in an object, or undefined for v1.5 only. */
function oaepOf(object: Buffer): string | undefined {
  const at = object.indexOf(Buffer.from('06092a864886f70d010107', 'hex'));
  if (at < 0) return undefined;
  // Its SEQUENCE has a header of two octets: it is short.
  return readOaepParameters(readAlgorithm(readDer(object.subarray(at - 2, at + (object[at - 1] ?? 0)), TAG.sequence)))
    ?.digest;
}

test('GCM only where every recipient is known to read it, else CBC; what the caller wants goes first', async () => {
  const [modern, old, silent] = [capable('p256', GCM, CBC), capable('p256', CBC), person('bob')];
  const [x25519, mlKem] = [person('bob', 'x25519'), person('bob', 'ml-kem-768')];
  const cases: [readonly Person[], boolean][] = [
    [[modern], true],
    [[old], false],
    [[silent], false],
    [[x25519, mlKem], true],
    [[modern, x25519], true],
    [[modern, silent], false],
    [[x25519, old], false],
  ];
  for (const [recipients, gcm] of cases) assert.equal((await made(recipients)).gcm, gcm);
  assert.equal((await made([modern], { cipher: 'aes-256-cbc' })).gcm, false);
  assert.equal((await made([silent], { cipher: 'aes-128-gcm' })).gcm, true);
});

test('what a signature has told counts before what the certificate says', async () => {
  const [modern, silent] = [capable('p256', GCM), person('bob')];
  const known = ({ fingerprint }: Certificate, ...said: string[]) => new Map([[fingerprint, said]]);
  assert.equal((await made([silent], { capabilities: known(silent.certificate, 'aes-256-gcm') })).gcm, true);
  assert.equal((await made([modern], { capabilities: known(modern.certificate, 'aes-256-cbc') })).gcm, false);
  assert.equal((await made([silent], { capabilities: known(modern.certificate, 'aes-256-gcm') })).gcm, false);
});

test('OAEP for those who read it, with the digest that they name', async () => {
  assert.equal((await made([person('bob', 'rsa')])).oaep, undefined);
  assert.equal((await made([capable('rsa', oaep(SHA384))])).oaep, 'sha384');
  assert.equal((await made([capable('rsa', algorithmIdentifier('1.2.840.113549.1.1.7', sequence()))])).oaep, 'sha1');
  assert.equal((await made([capable('rsa', oaep(SHA384))], { oaep: 'sha256' })).oaep, 'sha256');
  assert.equal((await made([capable('rsa', oaep(SHA384))], { oaep: false })).oaep, undefined);
  assert.equal((await made([capable('rsa', oaep(SHA256, SHA384))])).oaep, undefined);
});

test('capabilities that make no sense are none', async () => {
  const nonsense = forge('Nonsense', [extension('1.2.840.113549.1.9.15', Buffer.from('04020101', 'hex'))]);
  const keys = { address: '', certificate: nonsense.certificate, privateKey: nonsense.privateKey };
  assert.equal((await made([keys])).gcm, false);
  const bob = person('bob', 'rsa');
  const said = new Map([[bob.certificate.fingerprint, ['rsa-oaep-md5', 'rsa-oaep-toString', '']]]);
  assert.deepEqual(await made([bob], { capabilities: said }), { gcm: false, oaep: undefined });
});

test('octets that are no mail go under OAEP and GCM, whatever is known', async () => {
  for (const kind of ['rsa', 'p256', 'ml-kem-768'] as const) {
    const bob = person('bob', kind);
    const object = encryptObject(Buffer.from('octets'), bob.certificate);
    const options = { keys: keysOf(bob), recipients: [bob.certificate], trust: [], at: NOW };
    const result = await openObject(object, options);
    assert.ok(result.kind === 'opened' && result.content.toString() === 'octets');
    assert.equal(oaepOf(object), kind === 'rsa' ? 'sha256' : undefined);
  }
});
