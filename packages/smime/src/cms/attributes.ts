// Signed attributes (RFC 5652 §11, RFC 8551 §2.5, RFC 5035, RFC 6211): what they must say about a signer, and how ours
// are written.
import { createHash } from 'node:crypto';
import type { Certificate } from '../pki/certificate.ts';
import { context, readDer, readOid, readTime, TAG } from '../pki/der.ts';
import {
  algorithmIdentifier,
  explicit,
  integer,
  octetString,
  oid,
  sequence,
  setOf,
  time,
  tlv,
} from '../pki/der-write.ts';
import { DIGESTS, type DigestName, digestOf } from './algorithms.ts';
import { type BerNode, enterBer, stringOctets } from './ber.ts';
import { CAPABILITIES, readCapabilities } from './capabilities.ts';
import { ATTRIBUTE } from './oids.ts';
import { type SignatureAlgorithm, sameAlgorithm, writeSignatureAlgorithm } from './signature.ts';
import { type Attribute, readAlgorithm, type SignerInfo } from './signed-data.ts';

type SignerAlgorithms = Pick<SignerInfo, 'digestAlgorithm' | 'signatureAlgorithm'>;

export interface SignedFacts {
  readonly messageDigest: Buffer;
  readonly signingTime: Date | undefined;
  /** What the signer says it can read, see readCapabilities. */
  readonly capabilities: readonly string[];
}

/**
 * Reads the attributes of a signer and checks what they must say. Undefined when a mandatory one is missing or
 * repeated, or when one contradicts the signer: each was an attack or a forgery somewhere.
 */
export function readSignedFacts(
  signer: SignerAlgorithms,
  attributes: readonly Attribute[],
  contentType: string,
): SignedFacts | undefined {
  const types = new Set(attributes.map((attribute) => attribute.oid));
  if (types.size !== attributes.length) return undefined;
  const type = only(attributes, ATTRIBUTE.contentType);
  const digest = only(attributes, ATTRIBUTE.messageDigest);
  if (type?.tag !== TAG.oid || readOid(type) !== contentType || digest === undefined) return undefined;
  if ((digest.tag & ~0x20) !== TAG.octetString) return undefined;
  if (!protectionHolds(signer, attributes)) return undefined;
  const stamp = types.has(ATTRIBUTE.signingTime) ? readSigningTime(only(attributes, ATTRIBUTE.signingTime)) : undefined;
  if (stamp === null) return undefined;
  return {
    messageDigest: stringOctets(digest),
    signingTime: stamp,
    capabilities: readCapabilities(only(attributes, ATTRIBUTE.smimeCapabilities)),
  };
}

function only(attributes: readonly Attribute[], type: string): BerNode | undefined {
  const values = attributes.find((attribute) => attribute.oid === type)?.values;
  return values?.length === 1 ? values[0] : undefined;
}

/** null when it is there but no time. */
function readSigningTime(node: BerNode | undefined): Date | null {
  if (node === undefined) return null;
  try {
    return readTime(node);
  } catch {
    return null;
  }
}

/** CMSAlgorithmProtection (RFC 6211 §3), when present, must repeat the signer's own identifiers. */
function protectionHolds(signer: SignerAlgorithms, attributes: readonly Attribute[]): boolean {
  if (!attributes.some((attribute) => attribute.oid === ATTRIBUTE.algorithmProtection)) return true;
  const node = only(attributes, ATTRIBUTE.algorithmProtection);
  if (node === undefined) return false;
  const cursor = enterBer(node);
  if (!sameAlgorithm(readAlgorithm(cursor.next(TAG.sequence)), signer.digestAlgorithm)) return false;
  const signature = cursor.optional(context(1, true));
  return signature !== undefined && sameAlgorithm(readAlgorithm(signature), signer.signatureAlgorithm);
}

/**
 * Whether ESSCertID or ESSCertIDv2 (RFC 2634 §5.4, RFC 5035 §4), when present, name this certificate: otherwise
 * somebody exchanged it for another one with the same key.
 */
export function namesCertificate(attributes: readonly Attribute[], certificate: Certificate): boolean {
  for (const version of [ATTRIBUTE.signingCertificate, ATTRIBUTE.signingCertificateV2]) {
    if (!attributes.some((attribute) => attribute.oid === version)) continue;
    const node = only(attributes, version);
    if (node === undefined || !firstCertId(node, certificate, version === ATTRIBUTE.signingCertificate)) return false;
  }
  return true;
}

function firstCertId(node: BerNode, certificate: Certificate, sha1: boolean): boolean {
  const first = enterBer(enterBer(enterBer(node).next(TAG.sequence)).next(TAG.sequence));
  const algorithm = sha1 ? undefined : first.optional(TAG.sequence);
  const digest = algorithm === undefined ? undefined : digestOf(readAlgorithm(algorithm).oid);
  if (algorithm !== undefined && digest === undefined) return false;
  const name = sha1 ? 'sha1' : (digest?.name ?? 'sha256');
  if (name === 'sha256') return stringOctets(first.octetString()).toString('hex') === certificate.fingerprint;
  const options = digest?.xof === true ? { outputLength: digest.bytes } : {};
  const expected = createHash(name, options).update(certificate.der).digest();
  return stringOctets(first.octetString()).equals(expected);
}

export interface AttributeValues {
  readonly contentType: string;
  readonly contentDigest: Buffer;
  readonly signingTime: Date;
  readonly certificate: Certificate;
  readonly algorithm: SignatureAlgorithm;
}

/** The signed attributes of a new signature as the DER SET OF that is signed. */
export function writeSignedAttributes(values: AttributeValues): Buffer {
  const { algorithm, certificate } = values;
  const signature = readDer(writeSignatureAlgorithm(algorithm)).content;
  return setOf([
    attribute(ATTRIBUTE.contentType, oid(values.contentType)),
    attribute(ATTRIBUTE.messageDigest, octetString(values.contentDigest)),
    attribute(ATTRIBUTE.signingTime, time(values.signingTime)),
    attribute(ATTRIBUTE.smimeCapabilities, CAPABILITIES),
    attribute(ATTRIBUTE.signingCertificateV2, signingCertificate(certificate)),
    attribute(
      ATTRIBUTE.algorithmProtection,
      sequence(digestIdentifier(algorithm.digest), tlv(context(1, true), signature)),
    ),
  ]);
}

function attribute(type: string, value: Buffer): Buffer {
  return sequence(oid(type), tlv(TAG.set, value));
}

/** Digest identifiers of the SHA family have no parameters (RFC 5754 §2); SHAKE says its length in bits. */
export function digestIdentifier(name: DigestName): Buffer {
  const { oid: type, bytes } = DIGESTS[name];
  return name === 'shake256' ? algorithmIdentifier(type, integer(bytes * 8)) : algorithmIdentifier(type);
}

/** SigningCertificateV2 with the default SHA-256, issuer and serial number (RFC 5035 §4). */
function signingCertificate(certificate: Certificate): Buffer {
  const hash = octetString(Buffer.from(certificate.fingerprint, 'hex'));
  const issuer = sequence(explicit(4, certificate.issuerDer));
  return sequence(sequence(sequence(hash, sequence(issuer, tlv(TAG.integer, certificate.serial)))));
}
