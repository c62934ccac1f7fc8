// OpenSSL's command both ways: what we make it reads, what it makes we read.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { Openssl } from '../../packages/smime/test/openssl.ts';
import { ca, NOW } from '../../packages/smime/test/people.ts';
import type { Absent, Case } from './case.ts';
import {
  alice,
  BODY,
  bob,
  ENTITY,
  type EncryptionKind,
  encryptedByUs,
  encryptions,
  openForBob,
  type SignatureKind,
  signatures,
  signedByUs,
} from './matrix.ts';

export function opensslCases(): Case[] | Absent {
  const version = spawnSync('openssl', ['version']);
  if (version.status !== 0) return { set: 'openssl live', reason: 'no openssl here' };
  const openssl = new Openssl();
  process.on('exit', () => openssl.close());
  const peer = new Peer(openssl);
  const set = (direction: string) => `openssl live, ${direction}`;
  return [
    ...signatures.map((kind) => ({ set: set('ours'), name: kind.name, run: () => peer.verifiesOurs(kind) })),
    ...encryptions.map((kind) => ({ set: set('ours'), name: kind.name, run: () => peer.decryptsOurs(kind) })),
    ...both().map((pair) => ({ set: set('ours'), name: nameOf(pair), run: () => peer.opensOurs(...pair) })),
    ...signatures.map((kind) => ({ set: set('theirs'), name: kind.name, run: () => peer.isVerifiedByUs(kind) })),
    ...encryptions.map((kind) => ({ set: set('theirs'), name: kind.name, run: () => peer.isDecryptedByUs(kind) })),
    ...both().map((pair) => ({ set: set('theirs'), name: nameOf(pair), run: () => peer.isOpenedByUs(...pair) })),
  ];
}

type Pair = readonly [SignatureKind, EncryptionKind];

/** Signed and then encrypted: each signature with one encryption, so that all of both occur. */
function both(): Pair[] {
  return signatures.flatMap((signature, index) => {
    const encryption = encryptions[(index * 5) % encryptions.length];
    return encryption === undefined ? [] : [[signature, encryption] as const];
  });
}

function nameOf([signature, encryption]: Pair): string {
  return `${signature.name}, then ${encryption.name}`;
}

class Peer {
  readonly #openssl: Openssl;
  readonly #verify: readonly string[];

  constructor(openssl: Openssl) {
    this.#openssl = openssl;
    const at = String(NOW.getTime() / 1000);
    this.#verify = ['cms', '-verify', '-CAfile', openssl.certificate(ca), '-attime', at, '-purpose', 'smimesign'];
  }

  #signer({ key, pss, digest, opaque }: SignatureKind): string[] {
    const { certificate, privateKey } = alice(key);
    const files = ['-signer', this.#openssl.certificate(certificate), '-inkey', this.#openssl.key(privateKey)];
    return [
      ...files,
      '-md',
      digest,
      ...(pss ? ['-keyopt', 'rsa_padding_mode:pss'] : []),
      ...(opaque ? ['-nodetach'] : []),
      '-crlfeol',
    ];
  }

  #recipient({ key, oaep, cipher }: EncryptionKind): string[] {
    const padding = oaep ? ['-keyopt', 'rsa_padding_mode:oaep', '-keyopt', 'rsa_oaep_md:sha256'] : [];
    return [`-${cipher}`, '-recip', this.#openssl.certificate(bob(key).certificate), ...padding];
  }

  #decrypt({ key }: EncryptionKind, message: Buffer): Buffer {
    const { certificate, privateKey } = bob(key);
    const files = ['-recip', this.#openssl.certificate(certificate), '-inkey', this.#openssl.key(privateKey)];
    return this.#openssl.run(['cms', '-decrypt', ...files], message);
  }

  async verifiesOurs(kind: SignatureKind): Promise<void> {
    assert.ok(this.#openssl.run(this.#verify, await signedByUs(kind)).includes(BODY));
  }

  async decryptsOurs(kind: EncryptionKind): Promise<void> {
    assert.ok(this.#decrypt(kind, await encryptedByUs(kind)).includes(BODY));
  }

  async opensOurs(signature: SignatureKind, encryption: EncryptionKind): Promise<void> {
    const signed = this.#decrypt(encryption, await encryptedByUs(encryption, signature));
    assert.ok(this.#openssl.run(this.#verify, signed).includes(BODY));
  }

  async isVerifiedByUs(kind: SignatureKind): Promise<void> {
    const made = this.#openssl.run(['cms', '-sign', ...this.#signer(kind)], Buffer.from(ENTITY));
    const result = await openForBob(Buffer.concat([Buffer.from(`From: ${alice(kind.key).address}\r\n`), made]));
    assert.ok(result.kind === 'opened' && result.verdict.verified, JSON.stringify(result));
    const [signer] = result.verdict.signers;
    assert.equal(signer?.digest, kind.digest);
    assert.equal(signer?.scheme, kind.pss ? 'rsa-pss' : kind.key === 'rsa' ? 'rsa-pkcs1' : 'ecdsa');
  }

  async isDecryptedByUs(kind: EncryptionKind): Promise<void> {
    const made = this.#openssl.run(['cms', '-encrypt', ...this.#recipient(kind)], Buffer.from(ENTITY));
    const result = await openForBob(made, kind.key);
    assert.ok(result.kind === 'opened' && result.message.includes(BODY), JSON.stringify(result));
    const [layer] = result.verdict.layers;
    assert.ok(layer?.kind === 'encrypted' && layer.cipher === kind.cipher);
    assert.equal(layer.form, kind.cipher.endsWith('gcm') ? 'auth-enveloped' : 'enveloped');
  }

  async isOpenedByUs(signature: SignatureKind, encryption: EncryptionKind): Promise<void> {
    const signed = this.#openssl.run(['cms', '-sign', ...this.#signer(signature)], Buffer.from(ENTITY));
    const made = this.#openssl.run(['cms', '-encrypt', ...this.#recipient(encryption)], signed);
    const message = Buffer.concat([Buffer.from(`From: ${alice(signature.key).address}\r\n`), made]);
    const result = await openForBob(message, encryption.key);
    assert.ok(
      result.kind === 'opened' && result.verdict.verified && result.message.includes(BODY),
      JSON.stringify(result),
    );
    assert.deepEqual(result.verdict.weaknesses, []);
  }
}
