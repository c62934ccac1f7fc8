// gpgsm both ways. Version 2.2 imports no EC keys and makes neither PSS nor OAEP; what it cannot make it may still have to read.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Gpgsm } from '../../packages/smime/test/gpgsm.ts';
import { Openssl } from '../../packages/smime/test/openssl.ts';
import { ca, type Person } from '../../packages/smime/test/people.ts';
import type { Absent, Case } from './case.ts';
import {
  alice,
  BODY,
  bob,
  ENTITY,
  type EncryptionKind,
  encryptedByUs,
  encryptions,
  objectOf,
  openObjectForBob,
  type SignatureKind,
  signatures,
  signedByUs,
} from './matrix.ts';

/** gpgsm keeps the certificates that it has seen, so an address names several. */
function fingerprint({ certificate }: Person): string {
  return `0x${createHash('sha1').update(certificate.der).digest('hex')}`;
}

const ciphers: Readonly<Record<string, string>> = { 'aes-128-cbc': 'AES', 'aes-256-cbc': 'AES256' };

export function gpgsmCases(): Case[] | Absent {
  if (!Gpgsm.available()) return { set: 'gpgsm live', reason: 'no gpgsm here' };
  const openssl = new Openssl();
  const gpgsm = new Gpgsm(ca);
  gpgsm.importPerson(alice('rsa'), openssl);
  gpgsm.importPerson(bob('rsa'), openssl);
  process.on('exit', () => {
    gpgsm.close();
    openssl.close();
  });
  const own = signatures.filter(({ key, pss }) => key === 'rsa' && !pss);
  // It refuses a hash that is shorter than the curve, which RFC 5753 §7 advises against and nobody forbids.
  const verifiable = signatures.filter(({ key, digest }) => key !== 'p384' || digest !== 'sha256');
  const readable = encryptions.filter(({ key, oaep, cipher }) => key === 'rsa' && !oaep && cipher in ciphers);
  const ours = 'gpgsm live, ours';
  const theirs = 'gpgsm live, theirs';
  return [
    ...verifiable.map((kind) => ({ set: ours, name: kind.name, run: () => verifiesOurs(gpgsm, openssl, kind) })),
    ...readable.map((kind) => ({ set: ours, name: kind.name, run: () => decryptsOurs(gpgsm, kind) })),
    ...own.map((kind) => ({ set: theirs, name: kind.name, run: () => isVerifiedByUs(gpgsm, kind) })),
    ...readable.map((kind) => ({ set: theirs, name: kind.name, run: () => isDecryptedByUs(gpgsm, kind) })),
  ];
}

async function verifiesOurs(gpgsm: Gpgsm, openssl: Openssl, kind: SignatureKind): Promise<void> {
  const { object, content } = objectOf(await signedByUs(kind));
  if (content === undefined) assert.ok(gpgsm.run(['--verify'], object).includes(BODY));
  else gpgsm.run(['--verify', openssl.file(object)], content);
}

async function decryptsOurs(gpgsm: Gpgsm, kind: EncryptionKind): Promise<void> {
  assert.ok(gpgsm.run(['--decrypt'], objectOf(await encryptedByUs(kind)).object).includes(BODY));
}

async function isVerifiedByUs(gpgsm: Gpgsm, { key, digest, opaque }: SignatureKind): Promise<void> {
  const how = opaque ? '--sign' : '--detach-sign';
  const made = gpgsm.run(
    ['-u', fingerprint(alice(key)), '--digest-algo', digest.toUpperCase(), how],
    Buffer.from(ENTITY),
  );
  const result = await openObjectForBob(made, 'rsa', opaque ? undefined : Buffer.from(ENTITY));
  assert.ok(result.kind === 'opened' && result.verdict.verified, JSON.stringify(result));
  assert.equal(result.verdict.signers[0]?.digest, digest);
}

async function isDecryptedByUs(gpgsm: Gpgsm, { key, cipher }: EncryptionKind): Promise<void> {
  const large = Buffer.from(ENTITY.repeat(3000));
  const made = gpgsm.run(['-r', fingerprint(bob(key)), '--cipher-algo', ciphers[cipher] ?? '', '--encrypt'], large);
  const result = await openObjectForBob(made);
  assert.ok(result.kind === 'opened' && result.content.equals(large));
}
