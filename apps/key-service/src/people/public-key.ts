// The public key that a person made at home and brings: only the kinds that approvals are signed with and that TLS clients show.

import type { KeyObject } from 'node:crypto';
import { KeyFault } from '@sealpost/service';
import { importPublicKey } from '@sealpost/smime';

const curves: readonly (string | undefined)[] = ['prime256v1', 'secp384r1'];
const leastRsaBits = 2048;

/** From DER of a SubjectPublicKeyInfo. Fault: `public-key-unusable`. */
export function personKey(spki: Buffer): KeyObject {
  let key: KeyObject;
  try {
    key = importPublicKey(spki);
  } catch {
    throw new KeyFault('public-key-unusable');
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  const isUsable =
    type === 'ed25519' ||
    (type === 'ec' && curves.includes(details?.namedCurve)) ||
    (type === 'rsa' && (details?.modulusLength ?? 0) >= leastRsaBits);
  if (!isUsable) throw new KeyFault('public-key-unusable');
  return key;
}

/** From a PEM file that holds a public key and nothing else. Fault: `public-key-unusable`. */
export function personKeyFromPem(pem: string): KeyObject {
  const [, base64] =
    /^-----BEGIN PUBLIC KEY-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END PUBLIC KEY-----\s*$/.exec(pem) ?? [];
  return personKey(Buffer.from(base64 ?? '', 'base64'));
}

/** Also for keys of different kinds, which KeyObject does not compare. */
export function isSameKey(a: KeyObject, b: KeyObject): boolean {
  return a.asymmetricKeyType === b.asymmetricKeyType && a.equals(b);
}
