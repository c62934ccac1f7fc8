// Both directions against gpgsm, which writes BER with indefinite lengths and reads by its own library.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openObject, protect } from '../src/index.ts';
import { typeOf } from '../src/mime/canonical.ts';
import { boundaryOf } from '../src/mime/content-type.ts';
import { readEntity } from '../src/mime/header.ts';
import { readMultipart } from '../src/mime/multipart.ts';
import { Gpgsm } from './gpgsm.ts';
import { Openssl } from './openssl.ts';
import { ca, keysOf, mail, NOW, person } from './people.ts';

const skip = Gpgsm.available() ? false : 'no gpgsm here';
const openssl = new Openssl();
const alice = person('alice', 'rsa');
const bob = person('bob', 'rsa');
const TEXT = 'Content-Type: text/plain; charset=us-ascii\r\n\r\nover to you\r\n';
const options = { keys: keysOf(bob), recipients: [bob.certificate], trust: [ca], at: NOW, from: alice.address };
let gpgsm: Gpgsm | undefined;

before(() => {
  if (skip) return;
  gpgsm = new Gpgsm(ca);
  gpgsm.importPerson(alice, openssl);
  gpgsm.importPerson(bob, openssl);
});
after(() => {
  gpgsm?.close();
  openssl.close();
});

function run(args: readonly string[], input: Buffer): Buffer {
  assert.ok(gpgsm);
  return gpgsm.run(args, input);
}

test('we verify what gpgsm signs, opaque and detached', { skip }, async () => {
  const opaque = await openObject(run(['-u', alice.address, '--sign'], Buffer.from(TEXT)), options);
  assert.equal(opaque.verdict.verified, true);
  const detached = run(['-u', alice.address, '--detach-sign', '--digest-algo', 'SHA512'], Buffer.from(TEXT));
  const result = await openObject(detached, options, Buffer.from(TEXT));
  assert.equal(result.verdict.verified, true);
  assert.equal(result.verdict.signers[0]?.digest, 'sha512');
});

for (const cipher of ['AES', 'AES256']) {
  test(`we decrypt what gpgsm encrypts with ${cipher}`, { skip }, async () => {
    const large = Buffer.from(TEXT.repeat(5000));
    const made = run(['-r', bob.address, '--cipher-algo', cipher, '--encrypt'], large);
    const result = await openObject(made, options);
    assert.ok(result.kind === 'opened' && result.content.equals(large));
  });
}

test('gpgsm verifies our opaque and detached signatures', { skip }, async () => {
  const message = mail(alice.address, 'over to you\r\n');
  const sign = { certificate: alice.certificate, chain: [ca] };
  const opaque = await protect(message, { keys: keysOf(alice), sign: { ...sign, opaque: true }, now: NOW });
  const object = Buffer.from(readEntity(opaque).body.toString(), 'base64');
  assert.ok(run(['--verify'], object).includes('over to you'));
  const detached = readEntity(await protect(message, { keys: keysOf(alice), sign, now: NOW }));
  const [content, signature] = readMultipart(detached.body, boundaryOf(typeOf(detached.fields)) ?? '').parts;
  assert.ok(content !== undefined && signature !== undefined);
  const bare = Buffer.from(readEntity(signature).body.toString(), 'base64');
  run(['--verify', openssl.file(bare)], content);
});

test('gpgsm decrypts ours', { skip }, async () => {
  const encrypt = { recipients: [bob.certificate] };
  const made = await protect(mail(alice.address, 'over to you\r\n'), { keys: keysOf(), encrypt, now: NOW });
  const object = Buffer.from(readEntity(made).body.toString(), 'base64');
  assert.ok(run(['--decrypt'], object).includes('over to you'));
});
