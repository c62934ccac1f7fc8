// One signature over octets: scheme, digest and PSS parameters on one side, node:crypto on the other.
import {
  constants,
  createPublicKey,
  createVerify,
  type KeyObject,
  sign as signOnce,
  verify as verifyOnce,
} from 'node:crypto';
import { readDer, readOid, readSmallInteger, TAG } from '../pki/der.ts';
import { algorithmIdentifier, bitString, explicit, integer, NULL, sequence } from '../pki/der-write.ts';
import { DIGESTS, type DigestName, digestOf, KEY_TRANSPORT, type SignatureScheme, signatureOid } from './algorithms.ts';
import { enterBer, toDefinite } from './ber.ts';
import { type AlgorithmId, readAlgorithm } from './signed-data.ts';

/** What a key is asked to do. RSA-PSS uses MGF1 with the same digest and a salt as long as the digest. */
export interface SignatureAlgorithm {
  readonly scheme: SignatureScheme;
  /** Of the content and, but for EdDSA and the post-quantum schemes, of the signed attributes. */
  readonly digest: DigestName;
}

export interface PssParameters {
  readonly digest: DigestName;
  readonly mgfDigest: DigestName;
  readonly saltLength: number;
}

/** Larger salts than this are not made by anyone and would only cost. */
const MAX_SALT = 512;

/** RSASSA-PSS-params (RFC 4055 §3.1), defaults included. Undefined when they are malformed or unknown. */
export function readPssParameters(algorithm: AlgorithmId): PssParameters | undefined {
  let digest: string = 'sha1';
  let mgfDigest: string = 'sha1';
  let saltLength = 20;
  if (algorithm.parameters === undefined) return { digest: 'sha1', mgfDigest: 'sha1', saltLength };
  const cursor = enterBer(algorithm.parameters);
  const hash = cursor.optionalContext(0);
  if (hash !== undefined) digest = digestOf(readAlgorithm(enterBer(hash).next()).oid)?.name ?? '';
  const mask = cursor.optionalContext(1);
  if (mask !== undefined) {
    const mgf = readAlgorithm(enterBer(mask).next());
    const inner = mgf.parameters === undefined ? '' : readAlgorithm(mgf.parameters).oid;
    mgfDigest = mgf.oid === KEY_TRANSPORT.mgf1 ? (digestOf(inner)?.name ?? '') : '';
  }
  const salt = cursor.optionalContext(2);
  if (salt !== undefined) saltLength = readSmallInteger(enterBer(salt).next(TAG.integer));
  const trailer = cursor.optionalContext(3);
  if (trailer !== undefined && readSmallInteger(enterBer(trailer).next(TAG.integer)) !== 1) return undefined;
  if (!isDigest(digest) || !isDigest(mgfDigest) || saltLength > MAX_SALT) return undefined;
  return { digest, mgfDigest, saltLength };
}

function isDigest(name: string): name is DigestName {
  return Object.hasOwn(DIGESTS, name);
}

function pssParameters(pss: PssParameters): Buffer {
  const hash = algorithmIdentifier(DIGESTS[pss.digest].oid, NULL);
  const mgf = algorithmIdentifier(KEY_TRANSPORT.mgf1, algorithmIdentifier(DIGESTS[pss.mgfDigest].oid, NULL));
  return sequence(explicit(0, hash), explicit(1, mgf), explicit(2, integer(pss.saltLength)));
}

/** AlgorithmIdentifier of a signature (RFC 3370, 4056, 5754, 8419, 9882). */
export function writeSignatureAlgorithm(algorithm: SignatureAlgorithm): Buffer {
  const oid = signatureOid(algorithm.scheme, algorithm.digest) ?? '';
  if (algorithm.scheme === 'rsa-pkcs1') return algorithmIdentifier(oid, NULL);
  if (algorithm.scheme !== 'rsa-pss') return algorithmIdentifier(oid);
  const { bytes } = DIGESTS[algorithm.digest];
  return algorithmIdentifier(
    oid,
    pssParameters({ digest: algorithm.digest, mgfDigest: algorithm.digest, saltLength: bytes }),
  );
}

/** Signs with a private key in this process. */
export function signOctets(key: KeyObject, algorithm: SignatureAlgorithm, octets: Buffer): Buffer {
  switch (algorithm.scheme) {
    case 'rsa-pkcs1':
      return signOnce(algorithm.digest, octets, { key, padding: constants.RSA_PKCS1_PADDING });
    case 'rsa-pss': {
      const saltLength = DIGESTS[algorithm.digest].bytes;
      return signOnce(algorithm.digest, octets, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength });
    }
    case 'ecdsa':
    case 'dsa':
      return signOnce(algorithm.digest, octets, key);
    default:
      return signOnce(null, octets, key);
  }
}

export interface VerifyRequest {
  readonly key: KeyObject;
  readonly scheme: SignatureScheme;
  readonly digest: DigestName;
  readonly pss?: PssParameters;
  /** What was signed, in pieces. */
  readonly octets: readonly Buffer[];
  readonly signature: Buffer;
}

const KEY_TYPES: Readonly<Partial<Record<SignatureScheme, readonly string[]>>> = {
  'rsa-pkcs1': ['rsa'],
  'rsa-pss': ['rsa', 'rsa-pss'],
  ecdsa: ['ec'],
};

/** Whether the signature holds. A key of another kind than the scheme wants is a plain no. */
export function verifyOctets(request: VerifyRequest): boolean {
  const { key, scheme, signature } = request;
  const types = KEY_TYPES[scheme] ?? [scheme];
  if (!types.includes(key.asymmetricKeyType ?? '')) return false;
  try {
    switch (scheme) {
      case 'rsa-pkcs1':
      case 'ecdsa':
      case 'dsa':
        return digestVerify(request, key, {});
      case 'rsa-pss':
        return verifyPss(request);
      default:
        return verifyOnce(null, joined(request.octets), key, signature);
    }
  } catch {
    return false;
  }
}

function joined(octets: readonly Buffer[]): Buffer {
  const [only] = octets;
  return octets.length === 1 && only !== undefined ? only : Buffer.concat(octets);
}

function digestVerify(
  request: VerifyRequest,
  key: KeyObject,
  options: { padding?: number; saltLength?: number },
): boolean {
  const [only] = request.octets;
  if (request.octets.length === 1 && only !== undefined) {
    return verifyOnce(request.digest, only, { key, ...options }, request.signature);
  }
  const verifier = createVerify(request.digest);
  for (const piece of request.octets) verifier.update(piece);
  return verifier.verify({ key, ...options }, request.signature);
}

function verifyPss(request: VerifyRequest): boolean {
  const { pss } = request;
  if (pss === undefined) return false;
  const options = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: pss.saltLength };
  if (pss.mgfDigest === pss.digest) return digestVerify(request, request.key, options);
  // node:crypto takes MGF1's digest only from the key: give it the key with the parameters of the message.
  return digestVerify(request, withPssParameters(request.key, pss), options);
}

function withPssParameters(key: KeyObject, pss: PssParameters): KeyObject {
  const rsa = enterBer(readDer(key.export({ type: 'spki', format: 'der' }), TAG.sequence));
  readOid(enterBer(rsa.next(TAG.sequence)).next(TAG.oid));
  const bits = rsa.next(TAG.bitString).content.subarray(1);
  const spki = sequence(algorithmIdentifier('1.2.840.113549.1.1.10', pssParameters(pss)), bitString(bits));
  return createPublicKey({ key: spki, format: 'der', type: 'spki' });
}

/** Algorithm identifiers are equal but for an absent parameter against NULL, which implementations mix freely. */
export function sameAlgorithm(left: AlgorithmId, right: AlgorithmId): boolean {
  return left.oid === right.oid && parametersOf(left).equals(parametersOf(right));
}

function parametersOf(algorithm: AlgorithmId): Buffer {
  const { parameters } = algorithm;
  return parameters === undefined || parameters.tag === TAG.null ? Buffer.alloc(0) : toDefinite(parameters);
}
