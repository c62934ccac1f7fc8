// SignedData as a structure (RFC 5652 §5.1): read without judging, content left where it lies.
import { SmimeError } from '../errors.ts';
import { context, type DerNode, readOid, TAG } from '../pki/der.ts';
import { tlv } from '../pki/der-write.ts';
import { type BerNode, berChildren, enterBer, stringChunks, stringOctets, toDefinite } from './ber.ts';
import { type CertificateId, readCertificateId } from './identifier.ts';
import { MAX_ATTRIBUTES, MAX_ATTRIBUTES_BYTES, MAX_CERTIFICATES, MAX_DIGESTS, MAX_SIGNERS } from './limits.ts';

export interface AlgorithmId {
  readonly oid: string;
  /** The whole parameters element, or undefined when absent. */
  readonly parameters: BerNode | undefined;
  /** The AlgorithmIdentifier as received. */
  readonly bytes: Buffer;
}

export interface Attribute {
  readonly oid: string;
  readonly values: readonly BerNode[];
}

export interface SignerInfo {
  readonly id: CertificateId;
  readonly digestAlgorithm: AlgorithmId;
  readonly signatureAlgorithm: AlgorithmId;
  readonly signature: Buffer;
  /** Undefined when the signer has no signed attributes. */
  readonly signedAttributes: SignedAttributes | undefined;
  /** OIDs of the unsigned attributes; countersignatures and timestamps stand here and are not judged. */
  readonly unsignedTypes: readonly string[];
}

export interface SignedAttributes {
  readonly list: readonly Attribute[];
  /** What may have been signed, the likeliest first; made one by one. */
  encodings(): Iterable<Buffer>;
}

export interface SignedData {
  /** OIDs of the digests announced for all signers. */
  readonly digests: readonly string[];
  readonly contentType: string;
  /** Octets of the encapsulated content in order; undefined when detached. */
  readonly content: readonly Buffer[] | undefined;
  /** DER of the X.509 certificates; attribute certificates and other kinds are passed over. */
  readonly certificates: readonly Buffer[];
  /** DER of the X.509 CRLs. */
  readonly crls: readonly Buffer[];
  /** A signer that cannot be read is `undefined`: it must still count as one that does not hold. */
  readonly signers: readonly (SignerInfo | undefined)[];
}

/** Throws SmimeError `malformed-cms` or `limit-exceeded`. */
export function readSignedData(node: DerNode): SignedData {
  const cursor = enterBer(node);
  cursor.next(TAG.integer);
  const digests = berChildren(cursor.next(TAG.set), MAX_DIGESTS).map((entry) => readAlgorithm(entry).oid);
  const encapsulated = enterBer(cursor.next(TAG.sequence));
  const contentType = readOid(encapsulated.next(TAG.oid));
  const wrapped = encapsulated.optional(context(0, true));
  const certificates = cursor.optional(context(0, true));
  const crls = cursor.optional(context(1, true));
  const signers = berChildren(cursor.next(TAG.set), MAX_SIGNERS);
  return {
    digests,
    contentType,
    content: wrapped === undefined ? undefined : contentChunks(wrapped),
    certificates: sequences(certificates),
    crls: sequences(crls),
    signers: signers.map(readSignerOrNothing),
  };
}

/** PKCS#7 (RFC 2315) allowed any type as content; what is not an OCTET STRING is hashed without its header. */
function contentChunks(wrapped: BerNode): readonly Buffer[] {
  const node = enterBer(wrapped).next();
  return (node.tag & ~0x20) === TAG.octetString ? stringChunks(node) : [node.content];
}

function sequences(set: BerNode | undefined): Buffer[] {
  if (set === undefined) return [];
  return berChildren(set, MAX_CERTIFICATES)
    .filter((node) => node.tag === TAG.sequence)
    .map((node) => (node.indefinite ? toDefinite(node) : node.bytes));
}

function readSignerOrNothing(node: BerNode): SignerInfo | undefined {
  try {
    return readSigner(node);
  } catch {
    return undefined;
  }
}

function readSigner(node: BerNode): SignerInfo {
  const cursor = enterBer(node);
  cursor.next(TAG.integer);
  const id = readCertificateId(cursor.next());
  const digestAlgorithm = readAlgorithm(cursor.next(TAG.sequence));
  const attributes = cursor.optional(context(0, true));
  const signatureAlgorithm = readAlgorithm(cursor.next(TAG.sequence));
  const signature = stringOctets(cursor.octetString());
  const signedAttributes = attributes === undefined ? undefined : readSignedAttributes(attributes);
  const unsigned = cursor.optional(context(1, true));
  const unsignedTypes = unsigned === undefined ? [] : berChildren(unsigned, MAX_ATTRIBUTES).map(attributeType);
  return { id, digestAlgorithm, signatureAlgorithm, signature, signedAttributes, unsignedTypes };
}

function attributeType(node: BerNode): string {
  return readOid(enterBer(node).next(TAG.oid));
}

export function readAlgorithm(node: DerNode): AlgorithmId {
  const cursor = enterBer(node);
  const oid = readOid(cursor.next(TAG.oid));
  return { oid, parameters: cursor.done ? undefined : cursor.next(), bytes: node.bytes };
}

export function readSignedAttributes(node: BerNode): SignedAttributes {
  if (node.content.length > MAX_ATTRIBUTES_BYTES) throw new SmimeError('limit-exceeded');
  const children = berChildren(node, MAX_ATTRIBUTES);
  const list = children.map((child) => {
    const cursor = enterBer(child);
    const oid = readOid(cursor.next(TAG.oid));
    return { oid, values: berChildren(cursor.next(TAG.set), MAX_ATTRIBUTES) };
  });
  return { list, encodings: () => signedEncodings(node, children) };
}

/**
 * RFC 5652 §5.4 signs the DER of the SET OF. OpenSSL verifies what was sent, Bouncy Castle sorts first, so a message
 * sent unsorted may carry a signature over either.
 */
function* signedEncodings(node: BerNode, children: readonly BerNode[]): Generator<Buffer> {
  const received = tlv(TAG.set, node.content);
  if (!node.indefinite) yield received;
  const parts = children.map((child) => toDefinite(child));
  const definite = tlv(TAG.set, ...parts);
  if (node.indefinite || !definite.equals(received)) yield definite;
  const sorted = tlv(TAG.set, ...parts.sort(Buffer.compare));
  if (!sorted.equals(definite)) yield sorted;
}
