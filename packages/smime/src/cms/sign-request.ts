// What a key that signs for others agrees to sign: the complete signed attributes of one signer (RFC 5652 §5.4) and nothing else.
// A signature over a bare digest, or over any structure at all, could be put under a certificate or a mail that nobody saw.
import type { Certificate } from '../pki/certificate.ts';
import { readDer, TAG } from '../pki/der.ts';
import { DIGESTS } from './algorithms.ts';
import { digestIdentifier, namesCertificate, readSignedFacts } from './attributes.ts';
import { BerCursor } from './ber.ts';
import type { SignKeyRequest } from './key-port.ts';
import { ATTRIBUTE, CONTENT_TYPE } from './oids.ts';
import { chooseSignature } from './sign.ts';
import { writeSignatureAlgorithm } from './signature.ts';
import { readAlgorithm, readSignedAttributes } from './signed-data.ts';

/** What our own signatures always say; one that leaves it out could be moved to another certificate or algorithm. */
const WANTED = [ATTRIBUTE.signingCertificateV2, ATTRIBUTE.algorithmProtection];

/**
 * The request, where `signedAttributes` is the DER of attributes that name mail content, this certificate and this very
 * algorithm, and the algorithm is one of the certificate's key; undefined for anything else. Never throws.
 */
export function readSignRequest(
  certificate: Certificate,
  wish: { readonly scheme: string; readonly digest: string },
  signedAttributes: Buffer,
): SignKeyRequest | undefined {
  try {
    const algorithm = chooseSignature(certificate, {
      ...(isDigest(wish.digest) ? { digest: wish.digest } : {}),
      pss: wish.scheme === 'rsa-pss',
    });
    if (algorithm.scheme !== wish.scheme || algorithm.digest !== wish.digest) return undefined;
    const attributes = readSignedAttributes(new BerCursor(readDer(signedAttributes, TAG.set).bytes).next());
    // More than one form that could have been signed: not DER.
    const [only, ...others] = attributes.encodings();
    if (only === undefined || others.length > 0 || !only.equals(signedAttributes)) return undefined;
    const signer = {
      digestAlgorithm: readAlgorithm(new BerCursor(digestIdentifier(algorithm.digest)).next()),
      signatureAlgorithm: readAlgorithm(new BerCursor(writeSignatureAlgorithm(algorithm)).next()),
    };
    const types = attributes.list.map(({ oid }) => oid);
    const facts = readSignedFacts(signer, attributes.list, CONTENT_TYPE.data);
    if (facts?.messageDigest.length !== DIGESTS[algorithm.digest].bytes) return undefined;
    const isComplete = WANTED.every((type) => types.includes(type)) && namesCertificate(attributes.list, certificate);
    return isComplete ? { certificate, algorithm, signedAttributes } : undefined;
  } catch {
    return undefined;
  }
}

function isDigest(name: string): name is keyof typeof DIGESTS {
  return Object.hasOwn(DIGESTS, name);
}
