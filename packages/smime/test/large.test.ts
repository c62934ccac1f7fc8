// Messages above some 100 KB take other paths (slabs, work in place): same results, input untouched.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { open, protect } from '../src/index.ts';
import { readEntity } from '../src/mime/header.ts';
import { encodeBase64 } from '../src/mime/transfer.ts';
import { ca, keysOf, mail, NOW, person } from './people.ts';

const alice = person('alice');
const bob = person('bob');
const carol = person('carol');
const TYPE = 'Content-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n';
const message = mail(alice.address, encodeBase64(randomBytes(2_500_000)).toString(), TYPE);
const options = { keys: keysOf(bob), recipients: [bob.certificate], trust: [ca], at: NOW };
const sign = { certificate: alice.certificate, chain: [ca] };
const recipients = [bob.certificate, carol.certificate];

for (const cipher of ['aes-256-cbc', 'aes-256-gcm', 'chacha20-poly1305'] as const) {
  const made = protect(message, { keys: keysOf(alice), sign, encrypt: { recipients, cipher }, now: NOW });

  test(`a large ${cipher} message comes back, and the received one stays as it was`, async () => {
    const received = await made;
    const copy = Buffer.from(received);
    const result = await open(received, options);
    assert.ok(result.kind === 'opened' && result.verdict.verified);
    assert.ok(readEntity(result.message).body.equals(readEntity(message).body));
    assert.ok(received.equals(copy));
    const shown: string[] = [];
    const onContent = (octets: Buffer) => void shown.push(octets.subarray(0, 32).toString());
    const again = await open(received, { ...options, onContent });
    assert.ok(again.kind === 'opened' && again.message.equals(result.message));
    assert.deepEqual(
      shown.map((text) => text.slice(0, 22)),
      ['Content-Type: multipar', 'MIME-Version: 1.0\r\nCon'],
    );
  });

  test(`two keys for a large ${cipher} message: the first that fails does not spoil the second`, async () => {
    const keys = keysOf(bob, carol);
    const spoiled = {
      ...keys,
      openRecipient: (request: Parameters<typeof keys.openRecipient>[0]) =>
        request.certificate === bob.certificate ? randomBytes(32) : keys.openRecipient(request),
    };
    const result = await open(await made, { ...options, recipients, keys: spoiled });
    assert.ok(result.kind === 'opened' && result.verdict.verified);
  });

  test(`odd line lengths and stray spaces in a large ${cipher} message`, async () => {
    const received = await made;
    const { fields, body } = readEntity(received);
    const text = body.toString('latin1').replace(/\r\n/g, '');
    const odd = `${text.slice(0, 150_001).replace(/.{76}/g, '$&\r\n')} ${text.slice(150_001).replace(/.{61}/g, '$&\n')}`;
    const mangled = Buffer.concat([...fields.map(({ raw }) => raw), Buffer.from(`\r\n${odd}`, 'latin1')]);
    const result = await open(mangled, options);
    assert.ok(result.kind === 'opened' && result.verdict.verified);
  });

  test(`a flipped bit in a large ${cipher} message`, async () => {
    const received = Buffer.from(await made);
    const at = received.length - 1_000_001;
    received[at] = received[at] === 0x41 ? 0x42 : 0x41;
    const result = await open(received, options);
    if (cipher === 'aes-256-cbc') assert.ok(result.kind === 'opened' && !result.verdict.verified);
    else assert.equal(result.kind, 'undecryptable');
  });
}

test('lengths about those where the work is done in slabs and in place', async () => {
  for (const cipher of ['aes-256-cbc', 'aes-256-gcm'] as const) {
    for (const length of [(1 << 16) - 1, 1 << 16, 95_000, 96_000, (1 << 17) - 400, 1 << 17, (1 << 17) + 16, 3 << 16]) {
      const text = mail(
        alice.address,
        `${'x'.repeat(70)}\r\n`
          .repeat(Math.ceil(length / 72))
          .slice(0, length - 2)
          .concat('\r\n'),
      );
      const encrypt = { recipients: [bob.certificate], cipher };
      const result = await open(await protect(text, { keys: keysOf(alice), sign, encrypt, now: NOW }), options);
      assert.ok(result.kind === 'opened' && result.verdict.verified, `${cipher} ${length}`);
      assert.ok(readEntity(result.message).body.equals(readEntity(text).body), `${cipher} ${length}`);
    }
  }
});

test('a large binary message is opened without touching its octets', async () => {
  const encrypt = { recipients: [bob.certificate] };
  const made = readEntity(await protect(message, { keys: keysOf(), encrypt, now: NOW }));
  const head = 'Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n';
  const received = Buffer.concat([Buffer.from(head), Buffer.from(made.body.toString('latin1'), 'base64')]);
  const copy = Buffer.from(received);
  const result = await open(received, options);
  assert.ok(result.kind === 'opened' && result.message.length > 2_500_000);
  assert.ok(received.equals(copy));
});
