// An approval is a signature by the approver's own key over the whole request, word for word: whoever holds the key service cannot
// make one, and none fits another request.

import { createHash, type KeyObject, sign, verify } from 'node:crypto';

/** Keeps these signatures apart from any other that the same key makes, above all from those of TLS, and from each other. */
const domains = { act: 'sealpost approval\0', restore: 'sealpost restore\0' } as const;
/** Of an act of the running service, or of a restore, which is approved without one. */
type ApprovalKind = keyof typeof domains;

/** SHA-256 of a canonical request, lower-case hex: what two people compare by voice. */
export function requestHash(canonical: string): string {
  return createHash('sha256').update(canonical, 'utf8').digest('hex');
}

/** ECDSA and RSA with SHA-256, or Ed25519. */
export function signApproval(canonical: string, privateKey: KeyObject, kind: ApprovalKind = 'act'): Buffer {
  return sign(digestFor(privateKey), bytesOf(canonical, kind), privateKey);
}

export function isApproval(
  canonical: string,
  signature: Buffer,
  publicKey: KeyObject,
  kind: ApprovalKind = 'act',
): boolean {
  return verify(digestFor(publicKey), bytesOf(canonical, kind), publicKey, signature);
}

function bytesOf(canonical: string, kind: ApprovalKind): Buffer {
  return Buffer.from(domains[kind] + canonical, 'utf8');
}

function digestFor({ asymmetricKeyType }: KeyObject): string | undefined {
  return asymmetricKeyType === 'ed25519' ? undefined : 'sha256';
}
