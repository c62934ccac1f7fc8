// The signers of a SignedData checked one by one against the content (RFC 5652 §5.4–5.6): cryptography and signed
// attributes only. Whether the certificate is trusted and whose it is, is decided by the verdict.
import type { KeyObject } from 'node:crypto';
import { type Certificate, certificateFromDer } from '../pki/certificate.ts';
import { readDer, readOid, TAG } from '../pki/der.ts';
import { type DigestName, digestOf, type SignatureScheme, signatureOf } from './algorithms.ts';
import { namesCertificate, readSignedFacts } from './attributes.ts';
import { berChildren } from './ber.ts';
import { ContentDigests } from './digest.ts';
import { identifies } from './identifier.ts';
import { MAX_ATTRIBUTES } from './limits.ts';
import { ATTRIBUTE, CONTENT_TYPE } from './oids.ts';
import { readPssParameters, type VerifyRequest, verifyOctets } from './signature.ts';
import type { SignedAttributes, SignedData, SignerInfo } from './signed-data.ts';

/** Why a signer does not hold; `no-certificate` and `unknown-algorithm` mean that it could not be checked. */
export type SignerProblem =
  | 'malformed'
  | 'no-certificate'
  | 'unknown-algorithm'
  | 'attributes-invalid'
  | 'content-changed'
  | 'signature-invalid';

export interface CheckedSigner {
  /** Absent when the signature is good. */
  readonly problem?: SignerProblem;
  readonly certificate?: Certificate;
  readonly digest?: DigestName;
  readonly scheme?: SignatureScheme;
  readonly signingTime?: Date;
  /** Content ciphers, and `rsa-oaep-DIGEST`, that the signer says it can read, best first. */
  readonly capabilities: readonly string[];
  /** The signature is over other line ends than the canonical ones. */
  readonly overLineFeeds: boolean;
}

/**
 * The content in the form that must have been signed, and the forms that some implementation signs instead: a match
 * of the latter is named, and never good.
 */
export interface SignedContent {
  readonly octets: readonly Buffer[];
  /** The same text with bare LF; computed only when the canonical form does not match. */
  readonly withLineFeeds: () => readonly Buffer[] | undefined;
}

/** Certificates with the same name tried for one signer: a second one is an attack or a reissued key. */
const MAX_CANDIDATES = 4;

/** Checks every signer. `certificates` are those of the message and those known from elsewhere. */
export function checkSigners(
  signed: SignedData,
  content: SignedContent,
  certificates: readonly Certificate[],
): CheckedSigner[] {
  const digests = new ContentDigests(content.octets);
  return signed.signers.map((signer) => {
    if (signer === undefined) return { problem: 'malformed', capabilities: [], overLineFeeds: false };
    // RFC 5652 §5.1 lets us refuse a digest that was not announced; OpenSSL and NSS do.
    if (!signed.digests.includes(signer.digestAlgorithm.oid)) {
      return { problem: 'malformed', capabilities: [], overLineFeeds: false };
    }
    const check = new SignerCheck(signer, signed.contentType, content, digests);
    try {
      return check.run(certificates);
    } catch {
      return { problem: 'malformed', capabilities: [], overLineFeeds: false };
    }
  });
}

/** Certificates of the message that can be read; they are material, never roots. */
export function carriedCertificates(signed: SignedData): Certificate[] {
  return signed.certificates.flatMap((der) => {
    try {
      return [certificateFromDer(der)];
    } catch {
      return [];
    }
  });
}

class SignerCheck {
  readonly #signer: SignerInfo;
  readonly #contentType: string;
  readonly #content: SignedContent;
  readonly #digests: ContentDigests;

  constructor(signer: SignerInfo, contentType: string, content: SignedContent, digests: ContentDigests) {
    this.#signer = signer;
    this.#contentType = contentType;
    this.#content = content;
    this.#digests = digests;
  }

  run(certificates: readonly Certificate[]): CheckedSigner {
    const base = { capabilities: [], overLineFeeds: false };
    const candidates = certificates.filter((certificate) => identifies(this.#signer.id, certificate));
    const algorithms = this.#algorithms();
    if (algorithms === undefined) {
      const [certificate] = candidates;
      return { ...base, ...(certificate === undefined ? {} : { certificate }), problem: 'unknown-algorithm' };
    }
    const { digest, scheme } = algorithms;
    if (candidates.length === 0) return { ...base, digest, scheme, problem: 'no-certificate' };
    let last: CheckedSigner = { ...base, digest, scheme, problem: 'signature-invalid' };
    for (const certificate of candidates.slice(0, MAX_CANDIDATES)) {
      last = { ...this.#against(certificate, algorithms), certificate, digest, scheme };
      if (last.problem === undefined) return last;
    }
    return last;
  }

  /** Digest and scheme, with one consistent digest; undefined when any of it is not known here. */
  #algorithms(): Omit<VerifyRequest, 'key' | 'octets' | 'signature'> | undefined {
    const digest = digestOf(this.#signer.digestAlgorithm.oid)?.name as DigestName | undefined;
    const signature = signatureOf(this.#signer.signatureAlgorithm.oid);
    if (digest === undefined || signature === undefined) return undefined;
    const { scheme } = signature;
    if (scheme !== 'rsa-pss') return { scheme, digest: signature.digest ?? digest };
    const pss = readPssParameters(this.#signer.signatureAlgorithm);
    return pss === undefined ? undefined : { scheme, digest: pss.digest, pss };
  }

  #against(certificate: Certificate, algorithms: Omit<VerifyRequest, 'key' | 'octets' | 'signature'>): Finding {
    const none = { capabilities: [], overLineFeeds: false };
    const key = importedKey(certificate);
    if (key === undefined) return { ...none, problem: 'unknown-algorithm' };
    const request = { ...algorithms, key, signature: this.#signer.signature };
    const { signedAttributes, unsignedTypes } = this.#signer;
    if (unsignedTypes.some((type) => MUST_BE_SIGNED.has(type))) return { ...none, problem: 'attributes-invalid' };
    if (signedAttributes === undefined) return this.#overContent(request);
    return this.#overAttributes(request, signedAttributes, certificate);
  }

  /** RFC 5652 §5.3: without signed attributes the content type must be id-data. */
  #overContent(request: Omit<VerifyRequest, 'octets'>): Finding {
    const none = { capabilities: [], overLineFeeds: false };
    if (this.#contentType !== CONTENT_TYPE.data) return { ...none, problem: 'attributes-invalid' };
    const { octets } = this.#content;
    if (looksLikeAttributes(octets)) return { ...none, problem: 'attributes-invalid' };
    if (verifyOctets({ ...request, octets })) return none;
    const lines = this.#content.withLineFeeds();
    const overLineFeeds = lines !== undefined && verifyOctets({ ...request, octets: lines });
    return { ...none, overLineFeeds, problem: overLineFeeds ? 'content-changed' : 'signature-invalid' };
  }

  #overAttributes(
    request: Omit<VerifyRequest, 'octets'>,
    attributes: SignedAttributes,
    certificate: Certificate,
  ): Finding {
    const none = { capabilities: [], overLineFeeds: false };
    const facts = readSignedFacts(this.#signer, attributes.list, this.#contentType);
    if (facts === undefined || !namesCertificate(attributes.list, certificate)) {
      return { ...none, problem: 'attributes-invalid' };
    }
    const { capabilities, signingTime } = facts;
    const said = { capabilities, ...(signingTime === undefined ? {} : { signingTime }) };
    const name = digestOf(this.#signer.digestAlgorithm.oid)?.name as DigestName;
    const intact = this.#digests.of(name).equals(facts.messageDigest);
    const signed = isSigned(request, attributes);
    if (!signed) return { ...said, overLineFeeds: false, problem: intact ? 'signature-invalid' : 'content-changed' };
    if (intact) return { ...said, overLineFeeds: false };
    const lines = this.#content.withLineFeeds();
    const overLineFeeds = lines !== undefined && new ContentDigests(lines).of(name).equals(facts.messageDigest);
    return { ...said, overLineFeeds, problem: 'content-changed' };
  }
}

function isSigned(request: Omit<VerifyRequest, 'octets'>, attributes: SignedAttributes): boolean {
  for (const octets of attributes.encodings()) if (verifyOctets({ ...request, octets: [octets] })) return true;
  return false;
}

/** Undefined for a key of a kind that the engine does not do, such as DSA with inherited parameters. */
function importedKey(certificate: Certificate): KeyObject | undefined {
  try {
    return certificate.publicKey;
  } catch {
    return undefined;
  }
}

/** RFC 5652 §11.1–11.3: these must not be unsigned, where anybody can write them. */
const MUST_BE_SIGNED: ReadonlySet<string> = new Set([
  ATTRIBUTE.contentType,
  ATTRIBUTE.messageDigest,
  ATTRIBUTE.signingTime,
]);

type Finding = Omit<CheckedSigner, 'certificate' | 'digest' | 'scheme'>;

/**
 * Without signed attributes the signature is over the content itself, so a set of attributes that somebody signed for
 * another message could be presented as content (draft-vangeest-lamps-cms-euf-cma-signeddata).
 */
function looksLikeAttributes(octets: readonly Buffer[]): boolean {
  const [first] = octets;
  if (octets.length !== 1 || first === undefined || first[0] !== TAG.set) return false;
  try {
    const attributes = berChildren(readDer(first, TAG.set), MAX_ATTRIBUTES);
    return attributes.length > 0 && attributes.every((attribute) => isAttribute(berChildren(attribute, 2)));
  } catch {
    return false;
  }
}

function isAttribute([type, values]: readonly { tag: number; content: Buffer; bytes: Buffer }[]): boolean {
  return type?.tag === TAG.oid && values?.tag === TAG.set && readOid(type) !== '';
}
