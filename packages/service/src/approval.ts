// An approval is a signature by the approver's own key over the whole request, word for word: whoever holds the key service cannot
// make one, and none fits another request.

import { createHash, type KeyObject, sign, verify } from 'node:crypto';

/** Keeps these signatures apart from any other that the same key makes, above all from those of TLS. */
const domain = 'sealpost approval\0';

/** SHA-256 of a canonical request, lower-case hex: what two people compare by voice. */
export function requestHash(canonical: string): string {
  return createHash('sha256').update(canonical, 'utf8').digest('hex');
}

/** ECDSA and RSA with SHA-256, or Ed25519. */
export function signApproval(canonical: string, privateKey: KeyObject): Buffer {
  return sign(digestFor(privateKey), bytesOf(canonical), privateKey);
}

export function isApproval(canonical: string, signature: Buffer, publicKey: KeyObject): boolean {
  return verify(digestFor(publicKey), bytesOf(canonical), publicKey, signature);
}

function bytesOf(canonical: string): Buffer {
  return Buffer.from(domain + canonical, 'utf8');
}

function digestFor({ asymmetricKeyType }: KeyObject): string | undefined {
  return asymmetricKeyType === 'ed25519' ? undefined : 'sha256';
}
