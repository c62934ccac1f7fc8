// SignedData with one signer, in DER (RFC 5652 §5). The content is hashed where it lies and referred to, not copied.

import { SmimeError } from '../errors.ts';
import type { Certificate } from '../pki/certificate.ts';
import { context, TAG } from '../pki/der.ts';
import { integer, octetString, oid, sequence, setOf, tlv } from '../pki/der-write.ts';
import { DIGESTS, type DigestName } from './algorithms.ts';
import { digestIdentifier, writeSignedAttributes } from './attributes.ts';
import { digestOctets } from './digest.ts';
import { writeIssuerSerial } from './identifier.ts';
import type { KeyPort } from './key-port.ts';
import { CONTENT_TYPE } from './oids.ts';
import { contentInfo, element } from './pieces.ts';
import { type SignatureAlgorithm, writeSignatureAlgorithm } from './signature.ts';

export interface SignRequest {
  /** Content in pieces, exactly as it will lie in the message. */
  readonly content: readonly Buffer[];
  readonly certificate: Certificate;
  /** Certificates that go along with the signer's: its issuers up to but without the root. */
  readonly chain: readonly Certificate[];
  readonly algorithm: SignatureAlgorithm;
  readonly signingTime: Date;
  /** Whether the content goes into the object. */
  readonly opaque: boolean;
}

/** The ContentInfo in pieces; those of opaque content are the caller's own. */
export async function signContent(request: SignRequest, keys: KeyPort): Promise<Buffer[]> {
  const { certificate, algorithm } = request;
  const signedAttributes = writeSignedAttributes({
    contentType: CONTENT_TYPE.data,
    contentDigest: digestOctets(DIGESTS[algorithm.digest], request.content),
    signingTime: request.signingTime,
    certificate,
    algorithm,
  });
  const signature = await keys.sign({ certificate, algorithm, signedAttributes });
  const signer = sequence(
    integer(1),
    writeIssuerSerial(certificate),
    digestIdentifier(algorithm.digest),
    Buffer.concat([Buffer.of(context(0, true)), signedAttributes.subarray(1)]),
    writeSignatureAlgorithm(algorithm),
    octetString(signature),
  );
  const before = [integer(1), tlv(TAG.set, digestIdentifier(algorithm.digest))];
  const after = [setOf(distinct([certificate, ...request.chain]), context(0, true)), tlv(TAG.set, signer)];
  const content = request.opaque ? element(context(0, true), ...element(TAG.octetString, ...request.content)) : [];
  const encapsulated = element(TAG.sequence, oid(CONTENT_TYPE.data), ...content);
  return contentInfo(CONTENT_TYPE.signedData, element(TAG.sequence, ...before, ...encapsulated, ...after));
}

function distinct(certificates: readonly Certificate[]): Buffer[] {
  return [...new Map(certificates.map(({ fingerprint, der }) => [fingerprint, der])).values()];
}

/**
 * The algorithm for a signer's key: what its kind dictates, else the wished digest (RFC 8419 §3.1: Ed25519 goes with
 * SHA-512, Ed448 with SHAKE256; ML-DSA: RFC 9882 §3.3). Throws SmimeError `unsupported-algorithm`, also for a broken digest.
 */
export function chooseSignature(
  certificate: Certificate,
  wish: { digest?: DigestName; pss?: boolean },
): SignatureAlgorithm {
  const { scheme, digest } = signatureFor(certificate, wish);
  if (DIGESTS[digest].broken || (scheme !== 'ed448' && digest === 'shake256')) {
    throw new SmimeError('unsupported-algorithm');
  }
  return { scheme, digest };
}

function signatureFor(certificate: Certificate, wish: { digest?: DigestName; pss?: boolean }): SignatureAlgorithm {
  const type = certificate.publicKey.asymmetricKeyType;
  switch (type) {
    case 'rsa':
      return { scheme: wish.pss === true ? 'rsa-pss' : 'rsa-pkcs1', digest: wish.digest ?? 'sha256' };
    case 'rsa-pss':
      return { scheme: 'rsa-pss', digest: wish.digest ?? 'sha256' };
    case 'ec':
      return { scheme: 'ecdsa', digest: wish.digest ?? curveDigest(certificate) };
    case 'ed25519':
      return { scheme: 'ed25519', digest: 'sha512' };
    case 'ed448':
      return { scheme: 'ed448', digest: 'shake256' };
    case 'ml-dsa-44':
    case 'ml-dsa-65':
    case 'ml-dsa-87':
      return { scheme: type, digest: 'sha512' };
    default:
      throw new SmimeError('unsupported-algorithm');
  }
}

/** A digest as strong as the curve (RFC 5753 §7, RFC 8551 §2.2). */
function curveDigest(certificate: Certificate): DigestName {
  const curve = certificate.keyDetails.namedCurve ?? '';
  if (/384/.test(curve)) return 'sha384';
  return /521|512/.test(curve) ? 'sha512' : 'sha256';
}
