// protect, then open: every key kind and option, random content, and no change goes unnoticed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type CipherName, type Opened, open, openObject, type ProtectOptions, protect } from '../src/index.ts';
import { readEntity } from '../src/mime/header.ts';
import { ca, type KeyKind, keysOf, mail, NOW, type Person, person } from './people.ts';

const TEXT = 'Dear Bob,\r\n\r\nthis is the text.\r\n';

function options(...holders: readonly Person[]) {
  const recipients = holders.map((holder) => holder.certificate);
  return { keys: keysOf(...holders), recipients, trust: [ca], at: NOW };
}

function opened(result: Opened): Extract<Opened, { kind: 'opened' }> {
  assert.equal(result.kind, 'opened');
  return result as Extract<Opened, { kind: 'opened' }>;
}

const SIGNERS = ['rsa', 'rsa-3072', 'p256', 'p384', 'p521', 'brainpool', 'ed25519', 'ed448', 'ml-dsa-65'] as const;
for (const kind of SIGNERS satisfies readonly KeyKind[]) {
  for (const opaque of [false, true]) {
    test(`a ${opaque ? 'opaque' : 'detached'} ${kind} signature verifies`, async () => {
      const alice = person('alice', kind);
      const message = mail(alice.address, TEXT);
      const sign = { certificate: alice.certificate, opaque };
      const made = await protect(message, { keys: keysOf(alice), sign, now: NOW });
      const result = opened(await open(made, { ...options(), strip: 'all' }));
      assert.equal(result.verdict.verified, true);
      assert.deepEqual(result.verdict.weaknesses, []);
      assert.deepEqual(result.verdict.signers[0]?.signingTime, NOW);
      assert.ok(result.verdict.signers[0]?.capabilities.includes('aes-256-gcm'));
      assert.ok(readEntity(result.message).body.equals(readEntity(message).body));
    });
  }
}

const RECIPIENTS = ['rsa', 'p256', 'p384', 'p521', 'brainpool', 'x25519', 'x448', 'ml-kem-768'] as const;
const CIPHER_NAMES = [
  'aes-128-cbc',
  'aes-192-cbc',
  'aes-256-cbc',
  'aes-128-gcm',
  'aes-192-gcm',
  'aes-256-gcm',
  'chacha20-poly1305',
] as const;
for (const kind of RECIPIENTS satisfies readonly KeyKind[]) {
  test(`every cipher opens for ${kind}`, async () => {
    const bob = person('bob', kind);
    for (const cipher of CIPHER_NAMES satisfies readonly CipherName[]) {
      const encrypt = { recipients: [bob.certificate], cipher };
      const made = await protect(mail('alice@example.test', TEXT), { keys: keysOf(), encrypt, now: NOW });
      const result = opened(await open(made, options(bob)));
      assert.ok(result.message.toString().endsWith(TEXT));
      assert.deepEqual(result.verdict.weaknesses, cipher.endsWith('cbc') ? ['cbc-without-integrity'] : []);
    }
  });
}

for (const oaep of ['sha1', 'sha224', 'sha256', 'sha384', 'sha512', 'sha512-256', 'sha3-256'] as const) {
  test(`OAEP with ${oaep} opens`, async () => {
    const bob = person('bob', 'rsa');
    const encrypt = { recipients: [bob.certificate], oaep };
    const made = await protect(mail('alice@example.test', TEXT), { keys: keysOf(), encrypt, now: NOW });
    assert.ok(
      opened(await open(made, options(bob)))
        .message.toString()
        .endsWith(TEXT),
    );
  });
}

test('signed and encrypted mail comes back byte for byte, outer fields in their order', async () => {
  const [alice, bob, carol] = [person('alice'), person('bob', 'rsa'), person('carol')];
  const message = mail(alice.address, TEXT);
  const made = await protect(message, {
    keys: keysOf(alice),
    sign: { certificate: alice.certificate, chain: [ca] },
    encrypt: { recipients: [bob.certificate, carol.certificate] },
    now: NOW,
  });
  assert.ok(!made.includes('this is the text'));
  for (const reader of [bob, carol]) {
    const result = opened(await open(made, options(reader)));
    assert.equal(result.verdict.verified, true);
    assert.equal(result.verdict.encrypted, true);
    const [before, after] = [readEntity(message), readEntity(result.message)];
    const outer = before.fields.filter(({ name }) => !/^(content-|mime-)/.test(name)).map(({ raw }) => raw.toString());
    assert.deepEqual(
      after.fields.slice(0, outer.length).map(({ raw }) => raw.toString()),
      outer,
    );
    assert.deepEqual(
      after.fields.map(({ raw }) => raw.toString()).sort(),
      before.fields.map(({ raw }) => raw.toString()).sort(),
    );
    assert.ok(after.body.equals(before.body));
  }
});

test('the same message, key and time give the same octets', async () => {
  const alice = person('alice', 'ed25519');
  const sign = { certificate: alice.certificate, chain: [ca], opaque: true };
  const make = () => protect(mail(alice.address, TEXT), { keys: keysOf(alice), sign, now: NOW });
  assert.ok((await make()).equals(await make()));
});

test('only the named recipients can open', async () => {
  const [bob, eve] = [person('bob'), person('eve')];
  const encrypt = { recipients: [bob.certificate] };
  const made = await protect(mail('alice@example.test', TEXT), { keys: keysOf(), encrypt, now: NOW });
  assert.equal((await open(made, options(eve))).kind, 'undecryptable');
  // The key is there, but this delivery is not for its holder.
  assert.equal((await open(made, { ...options(eve), keys: keysOf(bob, eve) })).kind, 'undecryptable');
});

test('a message that is not S/MIME is plain', async () => {
  assert.deepEqual(await open(mail('alice@example.test', TEXT), options()), { kind: 'plain' });
  assert.deepEqual(await open(Buffer.alloc(0), options()), { kind: 'plain' });
});

test('protect without options gives the message back', async () => {
  const message = mail('alice@example.test', TEXT);
  assert.equal(await protect(message, { keys: keysOf(), now: NOW }), message);
});

test('empty bodies survive every form', async () => {
  const [alice, bob] = [person('alice'), person('bob')];
  const base = { keys: keysOf(alice), now: NOW };
  const forms: ProtectOptions[] = [
    { ...base, sign: { certificate: alice.certificate } },
    { ...base, sign: { certificate: alice.certificate, opaque: true } },
    { ...base, encrypt: { recipients: [bob.certificate] } },
    { ...base, encrypt: { recipients: [bob.certificate], cipher: 'aes-256-gcm' } },
  ];
  for (const form of forms) {
    const made = await protect(mail(alice.address, ''), form);
    const result = opened(await open(made, { ...options(bob), strip: 'all' }));
    assert.equal(readEntity(result.message).body.length, 0);
  }
});

const eightBit = fc.uint8Array({ maxLength: 2000 }).map((bytes) => Buffer.from(bytes));

test('random attachments come back with their octets', async () => {
  const [alice, bob] = [person('alice'), person('bob')];
  const base = { keys: keysOf(alice), now: NOW, encrypt: { recipients: [bob.certificate] } };
  const sign = { certificate: alice.certificate };
  await fc.assert(
    fc.asyncProperty(eightBit, fc.boolean(), fc.boolean(), async (bytes, opaque, signed) => {
      const fields = 'Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n';
      const body = bytes.toString('base64').replace(/.{76}/g, '$&\r\n');
      const message = mail(alice.address, body, fields);
      const made = await protect(message, { ...base, ...(signed ? { sign: { ...sign, opaque } } : {}) });
      const result = opened(await open(made, options(bob)));
      assert.equal(result.verdict.verified, signed);
      assert.deepEqual(Buffer.from(readEntity(result.message).body.toString(), 'base64'), bytes);
    }),
    { numRuns: 60 },
  );
});

/** Positions all over a message, every octet of a small one in time. */
function* positions(length: number, count: number): Generator<number> {
  for (let index = 0; index < count; index++) yield Math.floor((index * length) / count);
}

test('no flipped bit in a signed message is verified with other content', async () => {
  const alice = person('alice');
  const made = await protect(mail(alice.address, TEXT), {
    keys: keysOf(alice),
    sign: { certificate: alice.certificate },
    now: NOW,
  });
  for (const at of positions(made.length, 700)) {
    const forged = Buffer.from(made);
    forged[at] = (forged[at] ?? 0) ^ 0x01;
    const result = await open(forged, { ...options(), strip: 'all' });
    if (result.kind !== 'opened' || !result.verdict.verified) continue;
    assert.ok(result.message.toString().endsWith(TEXT), `octet ${at}`);
  }
});

test('no flipped bit in an authenticated-encrypted message opens as other content', async () => {
  const bob = person('bob');
  const encrypt = { recipients: [bob.certificate], cipher: 'aes-256-gcm' } as const;
  const made = await protect(mail('alice@example.test', TEXT), { keys: keysOf(), encrypt, now: NOW });
  for (const at of positions(made.length, 700)) {
    const forged = Buffer.from(made);
    forged[at] = (forged[at] ?? 0) ^ 0x02;
    const result = await open(forged, options(bob));
    if (result.kind === 'opened') assert.ok(result.message.toString().endsWith(TEXT), `octet ${at}`);
  }
});

test('every failure of decryption looks the same', async () => {
  const [bob, eve] = [person('bob', 'rsa'), person('eve', 'rsa')];
  const message = mail('alice@example.test', TEXT);
  const cbc = await protect(message, { keys: keysOf(), encrypt: { recipients: [bob.certificate] }, now: NOW });
  const object = readEntity(cbc).body.toString().replace(/\s/g, '');
  const der = Buffer.from(object, 'base64');
  const wrongKey = { ...options(bob), keys: { ...keysOf(bob), openRecipient: () => Buffer.alloc(32, 7) } };
  const noKey = { ...options(bob), keys: { ...keysOf(bob), openRecipient: () => undefined } };
  const cut = Buffer.concat([
    Buffer.from('Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n'),
  ]);
  const spoiled = (offset: number) => {
    const copy = Buffer.from(der);
    copy[offset] = (copy[offset] ?? 0) ^ 0xff;
    return Buffer.concat([cut, Buffer.from(copy.toString('base64'))]);
  };
  const verdicts = [
    await open(cbc, options(eve)),
    await open(cbc, wrongKey),
    await open(cbc, noKey),
    await open(spoiled(der.length - 1), options(bob)),
    await open(spoiled(der.indexOf(Buffer.from('04820100', 'hex')) + 50), options(bob)),
  ];
  for (const result of verdicts) {
    assert.equal(result.kind, 'undecryptable');
    assert.equal(result.verdict.problem, 'undecryptable');
    assert.equal(result.verdict.layers.length, 1);
  }
});

test('an SLH-DSA signature verifies', async () => {
  const { signContent } = await import('../src/cms/sign.ts');
  const alice = person('alice', 'slh-dsa-sha2-128f');
  const algorithm = { scheme: 'slh-dsa-sha2-128f', digest: 'sha256' } as const;
  const request = { certificate: alice.certificate, chain: [], algorithm, signingTime: NOW, opaque: true };
  const object = await signContent({ ...request, content: [Buffer.from(TEXT)] }, keysOf(alice));
  const { verdict } = await openObject(Buffer.concat(object), { ...options(), from: alice.address });
  assert.equal(verdict.verified, true);
});

test('broken digests and ciphers for reading only are not made', async () => {
  const [alice, bob] = [person('alice', 'rsa'), person('bob')];
  const message = mail(alice.address, TEXT);
  const refused = { code: 'unsupported-algorithm' };
  for (const digest of ['sha1', 'md5', 'shake256'] as const) {
    const sign = { certificate: alice.certificate, digest };
    await assert.rejects(protect(message, { keys: keysOf(alice), sign, now: NOW }), refused);
  }
  for (const cipher of ['des-ede3-cbc', 'rc2-cbc', 'aes-256-ccm'] as const) {
    const encrypt = { recipients: [bob.certificate], cipher };
    await assert.rejects(protect(message, { keys: keysOf(), encrypt, now: NOW }), refused);
  }
  const encrypt = { recipients: [person('carol', 'ed25519').certificate] };
  await assert.rejects(protect(message, { keys: keysOf(), encrypt, now: NOW }), refused);
  await assert.rejects(protect(message, { keys: keysOf(), encrypt: { recipients: [] }, now: NOW }), {
    code: 'no-recipient',
  });
  const sign = { certificate: alice.certificate };
  await assert.rejects(protect(message, { keys: keysOf(), sign, now: NOW }), { code: 'no-key' });
});
