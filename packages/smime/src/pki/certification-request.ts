// Certification requests (PKCS #10, RFC 2986) for keys whose certificate somebody else issues. The key may be anywhere: what it has to
// sign is prepared here, and its signature put in its place afterwards.
import type { KeyObject } from 'node:crypto';
import { SmimeError } from '../errors.ts';
import { algorithmIdentifier, bitString, integer, oid, sequence, setOf } from './der-write.ts';
import { askedExtensions, type IssueRequest, signerFor, subjectName } from './issue.ts';

/** RFC 2985 §5.4.2. */
const EXTENSION_REQUEST = '1.2.840.113549.1.9.14';
/** RFC 9881 §2. */
const ML_DSA: Readonly<Record<'ml-dsa-44' | 'ml-dsa-65' | 'ml-dsa-87', string>> = {
  'ml-dsa-44': '2.16.840.1.101.3.4.3.17',
  'ml-dsa-65': '2.16.840.1.101.3.4.3.18',
  'ml-dsa-87': '2.16.840.1.101.3.4.3.19',
};
/** IMPLICIT [0], constructed. */
const ATTRIBUTES = 0xa0;

interface RequestAlgorithm {
  readonly scheme: 'rsa-pkcs1' | 'ecdsa' | 'ed25519' | 'ml-dsa-44' | 'ml-dsa-65' | 'ml-dsa-87';
  readonly digest: 'sha256' | 'sha384' | 'sha512';
}

export interface PreparedRequest {
  /** DER of the CertificationRequestInfo: what the key signs, whole. */
  readonly octets: Buffer;
  readonly algorithm: RequestAlgorithm;
  /** DER of the request with this signature (ECDSA: as DER), which is not checked. */
  finish(signature: Buffer): Buffer;
}

/**
 * Prepares a request for a certificate with this subject, these addresses and what the profile lets the key do. Throws SmimeError
 * `unsupported-algorithm` for a key that cannot sign (X25519, ML-KEM), and RangeError for names that cannot be written.
 */
export function prepareRequest(
  request: Pick<IssueRequest, 'subject' | 'addresses' | 'publicKey' | 'profile'>,
): PreparedRequest {
  const { subject, publicKey } = request;
  const { identifier, algorithm } = signingOf(publicKey);
  const extensions = sequence(...askedExtensions(request));
  const octets = sequence(
    integer(0),
    subjectName(subject),
    publicKey.export({ format: 'der', type: 'spki' }),
    setOf([sequence(oid(EXTENSION_REQUEST), setOf([extensions]))], ATTRIBUTES),
  );
  return { octets, algorithm, finish: (signature) => sequence(octets, identifier, bitString(signature)) };
}

function signingOf(key: KeyObject): { identifier: Buffer; algorithm: RequestAlgorithm } {
  const type = key.asymmetricKeyType;
  if (type === 'ml-dsa-44' || type === 'ml-dsa-65' || type === 'ml-dsa-87')
    return { identifier: algorithmIdentifier(ML_DSA[type]), algorithm: { scheme: type, digest: 'sha512' } };
  const { identifier, digest } = signerFor(key);
  if (type === 'ed25519') return { identifier, algorithm: { scheme: type, digest: 'sha512' } };
  if (digest !== 'sha256' && digest !== 'sha384' && digest !== 'sha512') throw new SmimeError('unsupported-algorithm');
  return { identifier, algorithm: { scheme: type === 'rsa' ? 'rsa-pkcs1' : 'ecdsa', digest } };
}
