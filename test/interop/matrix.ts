// The combinations that are tried with every program in both directions, and our side of them.

import {
  boundaryOf,
  type CipherName,
  type DigestName,
  type Opened,
  type OpenedObject,
  open,
  openObject,
  parseParameterized,
  protect,
  readEntity,
  readMultipart,
} from '@sealpost/smime';
import { ca, type KeyKind, keysOf, mail, NOW, person } from '../../packages/smime/test/people.ts';

export const BODY =
  'Dear Bob,\r\n\r\n.a dot, a tab\t, an equals = sign and an end of line \r\nFrom here on it is text.\r\n';
export const ENTITY = `Content-Type: text/plain; charset=us-ascii\r\n\r\n${BODY}`;

export interface SignatureKind {
  readonly name: string;
  readonly key: KeyKind;
  readonly pss: boolean;
  readonly digest: DigestName;
  readonly opaque: boolean;
}

export interface EncryptionKind {
  readonly name: string;
  readonly key: KeyKind;
  readonly oaep: boolean;
  readonly cipher: CipherName;
}

const signers = [
  ['rsa', false],
  ['rsa', true],
  ['p256', false],
  ['p384', false],
] as const satisfies readonly (readonly [KeyKind, boolean])[];

export const signatures: readonly SignatureKind[] = signers.flatMap(([key, pss]) =>
  (['sha256', 'sha512'] as const).flatMap((digest) =>
    [false, true].map((opaque) => ({
      name: `${key}${pss ? ' PSS' : ''} ${digest} ${opaque ? 'opaque' : 'detached'}`,
      key,
      pss,
      digest,
      opaque,
    })),
  ),
);

export const encryptions: readonly EncryptionKind[] = signers.flatMap(([key, oaep]) =>
  (['aes-128-cbc', 'aes-256-cbc', 'aes-128-gcm', 'aes-256-gcm'] as const).map((cipher) => ({
    name: `${key}${oaep ? ' OAEP' : ''} ${cipher}`,
    key,
    oaep,
    cipher,
  })),
);

export const alice = (kind: KeyKind) => person('alice', kind);
export const bob = (kind: KeyKind) => person('bob', kind);

/** Alice's mail signed by us. */
export function signedByUs({ key, pss, digest, opaque }: SignatureKind): Promise<Buffer> {
  const signer = alice(key);
  const sign = { certificate: signer.certificate, chain: [ca], pss, digest, opaque };
  return protect(mail(signer.address, BODY), { keys: keysOf(signer), sign, now: NOW });
}

/** Mail encrypted by us for Bob; signed by Alice before when a signature is given. */
export function encryptedByUs({ key, oaep, cipher }: EncryptionKind, signature?: SignatureKind): Promise<Buffer> {
  const signer = alice(signature?.key ?? 'rsa');
  const sign = signature && {
    certificate: signer.certificate,
    pss: signature.pss,
    digest: signature.digest,
    opaque: signature.opaque,
  };
  const encrypt = { recipients: [bob(key).certificate], cipher, oaep };
  return protect(mail(signer.address, BODY), {
    keys: keysOf(signer),
    ...(sign === undefined ? {} : { sign }),
    encrypt,
    now: NOW,
  });
}

/** The CMS object of a message of ours, and the signed part where it stands beside. */
export function objectOf(message: Buffer): { readonly object: Buffer; readonly content?: Buffer } {
  const { fields, body } = readEntity(message);
  const type = parseParameterized(fields.find(({ name }) => name === 'content-type')?.value ?? '');
  const [content, signature] = readMultipart(body, boundaryOf(type) ?? '').parts;
  if (content === undefined || signature === undefined) return { object: decoded(body) };
  return { object: decoded(readEntity(signature).body), content };
}

function decoded(base64: Buffer): Buffer {
  return Buffer.from(base64.toString('latin1'), 'base64');
}

function options(key: KeyKind) {
  return { keys: keysOf(bob(key)), recipients: [bob(key).certificate], trust: [ca], at: NOW };
}

/** A message of theirs, opened by Bob. */
export function openForBob(message: Buffer, key: KeyKind = 'rsa'): Promise<Opened> {
  return open(message, options(key));
}

/** A bare object of theirs, opened by Bob, who expects Alice. */
export function openObjectForBob(object: Buffer, key: KeyKind = 'rsa', content?: Buffer): Promise<OpenedObject> {
  return openObject(object, { ...options(key), from: 'alice@example.test' }, content);
}
