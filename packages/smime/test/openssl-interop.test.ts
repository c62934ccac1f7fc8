// Both directions against the openssl command: what we make it reads, what it makes we read.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type CipherName, open, protect } from '../src/index.ts';
import { Openssl } from './openssl.ts';
import { ca, type KeyKind, keysOf, mail, NOW, person } from './people.ts';

const openssl = new Openssl();
after(() => openssl.close());

const BODY = 'Dear Bob,\r\n.leading dot\r\nFrom here on it is text.\r\n';
const ENTITY = `Content-Type: text/plain; charset=us-ascii\r\n\r\n${BODY}`;
const AT = String(Math.floor(NOW.getTime() / 1000));
const verify = ['cms', '-verify', '-CAfile', openssl.certificate(ca), '-attime', AT];

for (const kind of ['rsa', 'p256', 'p384', 'brainpool'] as const satisfies readonly KeyKind[]) {
  for (const opaque of [false, true]) {
    test(`openssl verifies our ${opaque ? 'opaque' : 'detached'} ${kind} signature`, async () => {
      const alice = person('alice', kind);
      const sign = { certificate: alice.certificate, opaque };
      const message = await protect(mail(alice.address, BODY), { keys: keysOf(alice), sign, now: NOW });
      const content = openssl.run(verify, message).toString('latin1');
      assert.ok(content.includes(BODY));
    });
  }
}

test('openssl verifies our RSA-PSS signature over SHA-512', async () => {
  const alice = person('alice', 'rsa');
  const sign = { certificate: alice.certificate, pss: true, digest: 'sha512' } as const;
  const message = await protect(mail(alice.address, BODY), { keys: keysOf(alice), sign, now: NOW });
  assert.ok(openssl.run(verify, message).includes(BODY));
});

for (const kind of ['rsa', 'p256', 'p384', 'p521', 'brainpool'] as const satisfies readonly KeyKind[]) {
  for (const cipher of ['aes-256-cbc', 'aes-128-cbc', 'aes-256-gcm'] as const satisfies readonly CipherName[]) {
    test(`openssl decrypts our ${cipher} for ${kind}`, async () => {
      const bob = person('bob', kind);
      const encrypt = { recipients: [bob.certificate], cipher };
      const message = await protect(mail('alice@example.test', BODY), { keys: keysOf(), encrypt, now: NOW });
      const args = [
        'cms',
        '-decrypt',
        '-recip',
        openssl.certificate(bob.certificate),
        '-inkey',
        openssl.key(bob.privateKey),
      ];
      assert.ok(openssl.run(args, message).includes(BODY));
    });
  }
}

test('openssl decrypts our OAEP', async () => {
  const bob = person('bob', 'rsa');
  const encrypt = { recipients: [bob.certificate], oaep: true };
  const message = await protect(mail('alice@example.test', BODY), { keys: keysOf(), encrypt, now: NOW });
  const args = [
    'cms',
    '-decrypt',
    '-recip',
    openssl.certificate(bob.certificate),
    '-inkey',
    openssl.key(bob.privateKey),
  ];
  assert.ok(openssl.run(args, message).includes(BODY));
});

for (const kind of ['rsa', 'p256', 'p384'] as const satisfies readonly KeyKind[]) {
  for (const extra of [[], ['-nodetach'], ['-noattr'], ['-keyid'], ['-md', 'sha1']]) {
    test(`we verify openssl's ${kind} signature ${extra.join(' ')}`, async () => {
      const alice = person('alice', kind);
      const signer = ['-signer', openssl.certificate(alice.certificate), '-inkey', openssl.key(alice.privateKey)];
      const made = openssl.run(['cms', '-sign', ...signer, ...extra, '-crlfeol'], Buffer.from(ENTITY));
      const message = Buffer.concat([Buffer.from(`From: ${alice.address}\r\n`), made]);
      const opened = await open(message, { keys: keysOf(), recipients: [], trust: [ca], at: NOW });
      assert.equal(opened.kind, 'opened');
      const [signerVerdict] = opened.verdict.signers;
      assert.equal(signerVerdict?.integrity, 'valid');
      const sha1 = extra.includes('sha1');
      assert.deepEqual(opened.verdict.weaknesses, sha1 ? ['sha1'] : []);
      assert.equal(opened.verdict.verified, !sha1);
    });
  }
}

for (const digest of ['sha224', 'sha384', 'sha512-224', 'sha512-256', 'sha3-256']) {
  // OpenSSL 3.0 cannot name SHA-3 in PSS parameters.
  for (const padding of digest === 'sha3-256' ? [[]] : [[], ['-keyopt', 'rsa_padding_mode:pss']]) {
    test(`we verify openssl's rsa signature over ${digest} ${padding.join(' ')}`, async () => {
      const alice = person('alice', 'rsa');
      const signer = ['-signer', openssl.certificate(alice.certificate), '-inkey', openssl.key(alice.privateKey)];
      const made = openssl.run(['cms', '-sign', ...signer, '-md', digest, ...padding, '-crlfeol'], Buffer.from(ENTITY));
      const message = Buffer.concat([Buffer.from(`From: ${alice.address}\r\n`), made]);
      const opened = await open(message, { keys: keysOf(), recipients: [], trust: [ca], at: NOW });
      assert.ok(opened.kind === 'opened' && opened.verdict.verified, JSON.stringify(opened));
      assert.equal(opened.verdict.signers[0]?.digest, digest);
    });
  }
}

const ENCRYPTIONS: readonly (readonly string[])[] = [
  ['-aes256'],
  ['-aes-128-cbc'],
  ['-aes-256-gcm'],
  ['-des3'],
  ['-aes256', '-stream', '-indef'],
  ['-aes256', '-keyid'],
];
for (const kind of ['rsa', 'p256', 'p521', 'brainpool'] as const satisfies readonly KeyKind[]) {
  for (const extra of ENCRYPTIONS) {
    test(`we decrypt openssl's ${extra.join(' ')} for ${kind}`, async () => {
      const bob = person('bob', kind);
      const made = openssl.run(
        ['cms', '-encrypt', ...extra, openssl.certificate(bob.certificate)],
        Buffer.from(ENTITY),
      );
      const options = { keys: keysOf(bob), recipients: [bob.certificate], trust: [ca], at: NOW };
      const opened = await open(made, { ...options, allowLegacy: true });
      assert.equal(opened.kind, 'opened');
      assert.ok(opened.message.includes(BODY));
      assert.equal(opened.verdict.weaknesses.includes('3des'), extra.includes('-des3'));
      assert.equal(opened.verdict.weaknesses.includes('cbc-without-integrity'), !extra.includes('-aes-256-gcm'));
      if (extra.includes('-des3')) assert.equal((await open(made, options)).kind, 'undecryptable');
    });
  }
}

for (const options of [
  'rsa_padding_mode:oaep',
  'rsa_oaep_md:sha256',
  'rsa_oaep_md:sha512-256',
  'rsa_mgf1_md:sha512',
  'rsa_oaep_label:6c6162656c',
]) {
  test(`we decrypt openssl's OAEP with ${options}`, async () => {
    const bob = person('bob', 'rsa');
    const recipient = [
      '-recip',
      openssl.certificate(bob.certificate),
      '-keyopt',
      'rsa_padding_mode:oaep',
      '-keyopt',
      options,
    ];
    const made = openssl.run(['cms', '-encrypt', '-aes256', ...recipient], Buffer.from(ENTITY));
    const opened = await open(made, { keys: keysOf(bob), recipients: [bob.certificate], trust: [ca], at: NOW });
    assert.equal(opened.kind, 'opened');
    assert.ok(opened.message.includes(BODY));
  });
}
