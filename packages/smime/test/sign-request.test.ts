// What a key that signs for others agrees to sign, and the many things that it must not.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { type KeyPort, protect, readSignRequest, type SignKeyRequest } from '../src/index.ts';
import { integer, octetString, oid, sequence, setOf, tlv } from '../src/pki/der-write.ts';
import { type KeyKind, keysOf, mail, NOW, type Person, person } from './people.ts';

/** What the engine asks a key to sign for a message. */
async function asked(signer: Person, pss = false): Promise<SignKeyRequest> {
  const requests: SignKeyRequest[] = [];
  const keys = keysOf(signer);
  const spy: KeyPort = {
    sign(request) {
      requests.push(request);
      return keys.sign(request);
    },
    openRecipient: () => undefined,
  };
  const sign = { certificate: signer.certificate, pss };
  await protect(mail(signer.address, 'Hello.\r\n'), { keys: spy, sign, now: NOW });
  return requests[0] ?? assert.fail('nothing was signed');
}

const KINDS = ['rsa', 'p256', 'p384', 'p521', 'brainpool', 'ed25519', 'ed448', 'ml-dsa-65'] as const;

test('what the engine signs is signed, by every kind of key', async () => {
  for (const kind of KINDS satisfies readonly KeyKind[]) {
    const { certificate, algorithm, signedAttributes } = await asked(person('alice', kind));
    assert.deepEqual(readSignRequest(certificate, algorithm, signedAttributes)?.algorithm, algorithm, kind);
  }
  const pss = await asked(person('alice', 'rsa'), true);
  assert.equal(readSignRequest(pss.certificate, pss.algorithm, pss.signedAttributes)?.algorithm.scheme, 'rsa-pss');
});

test('nothing else than complete signed attributes is signed', async () => {
  const { certificate, algorithm, signedAttributes } = await asked(person('alice', 'rsa'));
  const refused = (bytes: Buffer, why: string) =>
    assert.equal(readSignRequest(certificate, algorithm, bytes), undefined, why);
  const digest = createHash('sha256').update('mail').digest();
  const attribute = (type: string, value: Buffer) => sequence(oid(type), tlv(0x31, value));
  const type = attribute('1.2.840.113549.1.9.3', oid('1.2.840.113549.1.7.1'));
  const digestOfMail = attribute('1.2.840.113549.1.9.4', octetString(digest));
  refused(Buffer.alloc(0), 'nothing');
  refused(digest, 'a bare digest');
  refused(sequence(oid('2.16.840.1.101.3.4.2.1'), octetString(digest)), 'a DigestInfo');
  refused(certificate.der, 'a certificate');
  refused(Buffer.from('From: alice'), 'text');
  refused(setOf([type, digestOfMail]), 'attributes that name no certificate');
  refused(setOf([integer(1)]), 'a set of something else');
  refused(tlv(0x31), 'an empty set');
  for (let cut = 1; cut < signedAttributes.length; cut += 7) refused(signedAttributes.subarray(0, cut), 'truncated');
  refused(Buffer.concat([signedAttributes, Buffer.of(5, 0)]), 'with bytes behind');
  refused(Buffer.concat([Buffer.of(0xa0), signedAttributes.subarray(1)]), 'under another tag');
  const content = signedAttributes.subarray(2 + ((signedAttributes[1] ?? 0) & 0x7f));
  refused(Buffer.concat([Buffer.of(0x31, 0x80), content, Buffer.of(0, 0)]), 'of indefinite length');
  refused(tlv(0x31, content, type), 'with an attribute twice and out of order');
});

test('attributes for another certificate, digest or scheme are not signed', async () => {
  const { certificate, algorithm, signedAttributes } = await asked(person('alice', 'rsa'));
  const other = person('carol', 'rsa').certificate;
  assert.equal(readSignRequest(other, algorithm, signedAttributes), undefined);
  for (const [scheme, digest] of [
    ['rsa-pss', 'sha256'],
    ['rsa-pkcs1', 'sha512'],
    ['rsa-pkcs1', 'sha512-256'],
    ['rsa-pkcs1', 'sha1'],
    ['rsa-pkcs1', 'md5'],
    ['rsa-pkcs1', 'none'],
    ['rsa-pkcs1', '__proto__'],
    ['ecdsa', 'sha256'],
    ['ed25519', 'sha512'],
    ['', ''],
  ] as const) {
    assert.equal(readSignRequest(certificate, { scheme, digest }, signedAttributes), undefined, `${scheme} ${digest}`);
  }
  const encrypts = person('bob', 'x25519').certificate;
  assert.equal(readSignRequest(encrypts, algorithm, signedAttributes), undefined);
});
