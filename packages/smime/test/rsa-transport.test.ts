// RSA key transport: PKCS#1 v1.5 always answers, alike and repeatably; OAEP never falls back to it.
import assert from 'node:assert/strict';
import { constants, publicEncrypt, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { KEY_TRANSPORT } from '../src/cms/algorithms.ts';
import { writeIssuerSerial } from '../src/cms/identifier.ts';
import { openRecipientInfo } from '../src/cms/open-recipient.ts';
import { decryptPkcs1, encryptOaep } from '../src/cms/rsa-transport.ts';
import { algorithmIdentifier, integer, NULL, octetString, sequence } from '../src/pki/der-write.ts';
import { person } from './people.ts';

const bob = person('bob', 'rsa');
const { publicKey } = bob.certificate;
const contentKey = randomBytes(32);
const under = (padding: number, octets: Buffer) => publicEncrypt({ key: publicKey, padding }, octets);

test('v1.5 opens what was wrapped', () => {
  const wrapped = under(constants.RSA_PKCS1_PADDING, contentKey);
  assert.ok(decryptPkcs1(bob.privateKey, wrapped, 32).equals(contentKey));
});

test('v1.5 answers wrong padding, wrong lengths and impossible ciphertexts with a repeatable key', () => {
  const bad = [
    randomBytes(256).fill(0, 0, 1),
    under(constants.RSA_PKCS1_PADDING, contentKey.subarray(1)),
    under(constants.RSA_PKCS1_PADDING, Buffer.alloc(0)),
    under(constants.RSA_PKCS1_OAEP_PADDING, contentKey),
    Buffer.alloc(256, 0xff),
    Buffer.alloc(255, 1),
    Buffer.alloc(257, 1),
    Buffer.alloc(0),
  ];
  const answers = bad.map((wrapped) => {
    const first = decryptPkcs1(bob.privateKey, wrapped, 32);
    assert.equal(first.length, 32);
    assert.ok(decryptPkcs1(bob.privateKey, wrapped, 32).equals(first));
    return first.toString('hex');
  });
  assert.equal(new Set(answers).size, bad.length);
});

function info(algorithm: Buffer, encryptedKey: Buffer, certificate = bob.certificate): Buffer {
  return sequence(integer(0), writeIssuerSerial(certificate), algorithm, octetString(encryptedKey));
}

test('malformed OAEP parameters never fall back to v1.5', () => {
  const wrapped = under(constants.RSA_PKCS1_PADDING, contentKey);
  const { algorithm, encryptedKey } = encryptOaep(publicKey, contentKey, 'sha256');
  const open = (identifier: Buffer, octets: Buffer) =>
    openRecipientInfo(bob.privateKey, bob.certificate, info(identifier, octets), 32);
  assert.ok(open(algorithm, encryptedKey)?.equals(contentKey));
  for (const parameters of [
    NULL,
    sequence(NULL),
    sequence(integer(1)),
    octetString(contentKey),
    sequence(octetString(wrapped)),
  ]) {
    assert.equal(open(algorithmIdentifier(KEY_TRANSPORT.oaep, parameters), wrapped), undefined);
    assert.equal(open(algorithmIdentifier(KEY_TRANSPORT.oaep, parameters), encryptedKey), undefined);
  }
});

test('a key opens nothing that names another certificate', () => {
  const wrapped = under(constants.RSA_PKCS1_PADDING, contentKey);
  const other = person('eve', 'rsa').certificate;
  const foreign = info(algorithmIdentifier(KEY_TRANSPORT.rsa, NULL), wrapped, other);
  assert.equal(openRecipientInfo(bob.privateKey, bob.certificate, foreign, 32), undefined);
});

test('OAEP with another mask hash and a label is unpadded as RFC 8017 says', async () => {
  const { Openssl } = await import('./openssl.ts');
  const openssl = new Openssl();
  const keyopts = ['rsa_padding_mode:oaep', 'rsa_oaep_md:sha512', 'rsa_mgf1_md:sha1', 'rsa_oaep_label:00ff'];
  const recipient = [
    '-recip',
    openssl.certificate(bob.certificate),
    ...keyopts.flatMap((option) => ['-keyopt', option]),
  ];
  const made = openssl.run(['cms', '-encrypt', '-aes256', '-outform', 'DER', ...recipient], Buffer.from('text'));
  openssl.close();
  const { openObject, localKeys } = await import('../src/index.ts');
  const options = { keys: localKeys([bob]), recipients: [bob.certificate], trust: [], at: new Date() };
  assert.equal((await openObject(made, options)).kind, 'opened');
  const spoiled = Buffer.from(made);
  const at = spoiled.indexOf(Buffer.from('04820100', 'hex')) + 60;
  spoiled[at] = (spoiled[at] ?? 0) ^ 1;
  assert.equal((await openObject(spoiled, options)).kind, 'undecryptable');
});
