// A key in a token opens what the same key in memory opens, and fails alike. The token here is the key in memory behind the token's
// three operations; a real one is tried in the key service.
import assert from 'node:assert/strict';
import { constants, createPublicKey, diffieHellman, privateDecrypt } from 'node:crypto';
import { test } from 'node:test';
import { type KeyPort, open, openRecipientInfo, openRecipientWith, protect, type TokenKey } from '../src/index.ts';
import { keysOf, mail, NOW, type Person, person } from './people.ts';

function tokenOf({ privateKey }: Person): TokenKey {
  const orNothing = async (work: () => Buffer): Promise<Buffer | undefined> => {
    try {
      return work();
    } catch {
      return undefined;
    }
  };
  return {
    secret: Buffer.alloc(32, 1),
    decryptPkcs1: (encrypted) =>
      orNothing(() => privateDecrypt({ key: privateKey, padding: constants.RSA_PKCS1_PADDING }, encrypted)),
    decryptOaep: (encrypted, { digest, label }) =>
      orNothing(() => privateDecrypt({ key: privateKey, oaepHash: digest, oaepLabel: label }, encrypted)),
    derive: (point) =>
      orNothing(() => {
        const own = createPublicKey(privateKey).export({ format: 'jwk' });
        const size = (point.length - 1) / 2;
        const [x, y] = [point.subarray(1, 1 + size), point.subarray(1 + size)].map((part) =>
          part.toString('base64url'),
        );
        const publicKey = createPublicKey({ key: { ...own, x, y } as never, format: 'jwk' });
        return diffieHellman({ privateKey, publicKey });
      }),
  };
}

/** The RecipientInfo of a message to somebody. */
async function infoFor(to: Person, oaep?: 'sha1' | 'sha256'): Promise<{ recipientInfo: Buffer; keyLength: number }> {
  const encrypt = { recipients: [to.certificate], ...(oaep ? { oaep } : {}) };
  const made = await protect(mail('alice@example.test', 'Hello\r\n'), { keys: keysOf(), encrypt, now: NOW });
  const seen: { recipientInfo: Buffer; keyLength: number }[] = [];
  const keys: KeyPort = {
    sign: () => Buffer.alloc(0),
    openRecipient({ recipientInfo, keyLength }) {
      seen.push({ recipientInfo, keyLength });
      return undefined;
    },
  };
  await open(made, { keys, recipients: [to.certificate], trust: [], at: NOW });
  return seen[0] ?? assert.fail('nobody was asked');
}

const cases = [
  ['rsa', undefined],
  ['rsa', 'sha1'],
  ['rsa', 'sha256'],
  ['p256', undefined],
  ['p384', undefined],
  ['p521', undefined],
] as const;

test('a token opens what the key in memory opens', async () => {
  for (const [kind, oaep] of cases) {
    const bob = person('bob', kind);
    const { recipientInfo, keyLength } = await infoFor(bob, oaep);
    const expected = openRecipientInfo(bob.privateKey, bob.certificate, recipientInfo, keyLength);
    assert.ok(expected);
    assert.deepEqual(await openRecipientWith(tokenOf(bob), bob.certificate, recipientInfo, keyLength), expected);
    const carol = person('carol', kind);
    assert.equal(await openRecipientWith(tokenOf(carol), carol.certificate, recipientInfo, keyLength), undefined);
  }
});

test('what does not open gives nothing, or for v1.5 the same useless key each time', async () => {
  for (const [kind, oaep] of cases) {
    const bob = person('bob', kind);
    const token = tokenOf(bob);
    const { recipientInfo, keyLength } = await infoFor(bob, oaep);
    const damaged = Buffer.from(recipientInfo);
    damaged[damaged.length - 3] = (damaged.at(-3) ?? 0) ^ 1;
    const [first, second] = [
      await openRecipientWith(token, bob.certificate, damaged, keyLength),
      await openRecipientWith(token, bob.certificate, damaged, keyLength),
    ];
    assert.deepEqual(first, second);
    assert.equal(first?.length, kind === 'rsa' && !oaep ? keyLength : undefined);
    assert.notDeepEqual(first, openRecipientInfo(bob.privateKey, bob.certificate, recipientInfo, keyLength));
    for (const bytes of [Buffer.alloc(0), recipientInfo.subarray(0, -1), bob.certificate.der, Buffer.alloc(50, 0x30)]) {
      assert.equal(await openRecipientWith(token, bob.certificate, bytes, keyLength), undefined);
    }
  }
  const nothing = { ...tokenOf(person('bob', 'rsa')), decryptPkcs1: async () => undefined };
  const { recipientInfo } = await infoFor(person('bob', 'rsa'));
  const opened = await openRecipientWith(nothing, person('bob', 'rsa').certificate, recipientInfo, 32);
  assert.equal(opened?.length, 32);
});

test('a token that is not to be had is an error, and not mail that does not open', async () => {
  const bob = person('bob', 'rsa');
  const { recipientInfo, keyLength } = await infoFor(bob);
  const away = {
    ...tokenOf(bob),
    decryptPkcs1: async (): Promise<never> => {
      throw new Error('away');
    },
  };
  await assert.rejects(openRecipientWith(away, bob.certificate, recipientInfo, keyLength), /away/);
});
