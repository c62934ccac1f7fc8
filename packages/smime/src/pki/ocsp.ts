// OCSP responses (RFC 6960, RFC 5019 profile) as a pure function over given bytes: nothing is fetched. A response counts
// when the issuer, or a responder that the issuer named for it, signed it and it is fresh at the time asked for.
import { createHash } from 'node:crypto';
import { SmimeError } from '../errors.ts';
import { type Certificate, certificateFromDer, type Extension, readExtensions, readSignature } from './certificate.ts';
import {
  asBuffer,
  children,
  context,
  type DerNode,
  enter,
  readDer,
  readIntegerBytes,
  readOctetBits,
  readOid,
  readTime,
  TAG,
} from './der.ts';
import { nameKeys } from './name.ts';
import { PURPOSE } from './oids.ts';
import type { RevocationStatus } from './revocation.ts';
import { isSignedBy } from './signature.ts';

/** Answers are a few KiB; the largest honest ones carry a chain of post-quantum certificates. */
const MAX_OCSP_BYTES = 512 * 1024;
const MAX_SINGLES = 256;
const MAX_RESPONDER_CERTIFICATES = 8;

const BASIC = '1.3.6.1.5.5.7.48.1.1';
const NO_CHECK = '1.3.6.1.5.5.7.48.1.5';

const HASHES: Readonly<Record<string, string>> = {
  '1.3.14.3.2.26': 'sha1',
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};

interface SingleResponse {
  readonly hash: string | undefined;
  readonly issuerNameHash: Buffer;
  readonly issuerKeyHash: Buffer;
  readonly serial: Buffer;
  readonly status: RevocationStatus;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date | undefined;
}

export class OcspResponse {
  readonly tbs: Buffer;
  readonly signatureAlgorithm: Buffer;
  readonly signature: Buffer;
  readonly certificates: readonly Certificate[];
  /** Name key or SHA-1 of the responder's key. */
  readonly responder: string | Buffer;
  readonly producedAt: Date;
  readonly singles: readonly SingleResponse[];
  /** False when a critical extension is not understood. */
  readonly usable: boolean;

  /** `basic`: BasicOCSPResponse. Throws SmimeError `malformed-der`; use parseOcspResponse. */
  constructor(basic: Buffer) {
    const outer = enter(readDer(basic, TAG.sequence));
    const tbs = outer.next(TAG.sequence);
    this.tbs = tbs.bytes;
    this.signatureAlgorithm = outer.next(TAG.sequence).bytes;
    this.signature = readSignature(outer.next(TAG.bitString));
    const certificates = outer.optional(context(0, true));
    outer.end();
    const list = certificates === undefined ? [] : children(readDer(certificates.content), MAX_RESPONDER_CERTIFICATES);
    this.certificates = list.map(({ bytes }) => certificateFromDer(bytes));

    const cursor = enter(tbs);
    cursor.optional(context(0, true));
    const byName = cursor.optional(context(1, true));
    this.responder =
      byName === undefined
        ? readDer(cursor.next(context(2, true)).content, TAG.octetString).content
        : nameKeys(byName.content).join(',');
    this.producedAt = readTime(cursor.next(TAG.generalizedTime));
    const singles = children(cursor.next(TAG.sequence), MAX_SINGLES).map(readSingle);
    const extensions = readWrapped(cursor.optional(context(1, true)));
    cursor.end();
    this.singles = singles.map(({ single }) => single);
    this.usable = ![extensions, ...singles.map((entry) => entry.extensions)].some(hasCritical);
  }
}

function readSingle(node: DerNode): { single: SingleResponse; extensions: ReadonlyMap<string, Extension> } {
  const cursor = enter(node);
  const id = enter(cursor.next(TAG.sequence));
  const hash = HASHES[readOid(enter(id.next(TAG.sequence)).next(TAG.oid))];
  const issuerNameHash = id.next(TAG.octetString).content;
  const issuerKeyHash = id.next(TAG.octetString).content;
  const serial = readIntegerBytes(id.next(TAG.integer));
  id.end();
  const choice = cursor.next();
  const status = choice.tag === context(0) ? 'good' : choice.tag === context(1, true) ? 'revoked' : 'unknown';
  const thisUpdate = readTime(cursor.next(TAG.generalizedTime));
  const wrapped = cursor.optional(context(0, true));
  const nextUpdate = wrapped === undefined ? undefined : readTime(readDer(wrapped.content, TAG.generalizedTime));
  const extensions = readWrapped(cursor.optional(context(1, true)));
  cursor.end();
  return { single: { hash, issuerNameHash, issuerKeyHash, serial, status, thisUpdate, nextUpdate }, extensions };
}

function readWrapped(node: DerNode | undefined): ReadonlyMap<string, Extension> {
  return node === undefined ? new Map() : readExtensions(readDer(node.content, TAG.sequence));
}

function hasCritical(extensions: ReadonlyMap<string, Extension>): boolean {
  return [...extensions.values()].some(({ critical }) => critical);
}

/** The answer in an OCSPResponse (DER), or undefined when the responder sent an unsigned error status. Throws SmimeError `malformed-ocsp`. */
export function parseOcspResponse(bytes: Uint8Array): OcspResponse | undefined {
  if (bytes.length > MAX_OCSP_BYTES) throw new SmimeError('limit-exceeded');
  try {
    const cursor = enter(readDer(Buffer.from(asBuffer(bytes)), TAG.sequence));
    const status = cursor.next(TAG.enumerated).content;
    if (status.length !== 1 || status[0] !== 0) return undefined;
    const body = enter(readDer(cursor.next(context(0, true)).content, TAG.sequence));
    if (readOid(body.next(TAG.oid)) !== BASIC) return undefined;
    return new OcspResponse(body.next(TAG.octetString).content);
  } catch {
    throw new SmimeError('malformed-ocsp');
  }
}

/**
 * What the responses say about `certificate`, whose issuer is `issuer`. The newest fresh one counts. A response without
 * nextUpdate says that newer is always to be had (RFC 6960 §2.4): as stored material it is never fresh.
 */
export function ocspStatus(
  certificate: Certificate,
  issuer: Certificate,
  responses: readonly OcspResponse[],
  at: Date,
): RevocationStatus {
  let newest: SingleResponse | undefined;
  for (const response of responses) {
    const single = response.singles.find((candidate) => isAbout(candidate, certificate, issuer));
    if (single?.nextUpdate === undefined || at < single.thisUpdate || at > single.nextUpdate) continue;
    if (newest !== undefined && newest.thisUpdate >= single.thisUpdate) continue;
    if (response.usable && isAuthentic(response, issuer, at)) newest = single;
  }
  return newest?.status ?? 'unknown';
}

function isAbout(single: SingleResponse, certificate: Certificate, issuer: Certificate): boolean {
  if (single.hash === undefined || !single.serial.equals(certificate.serial)) return false;
  const digest = (data: Buffer): Buffer =>
    createHash(single.hash ?? '')
      .update(data)
      .digest();
  return (
    single.issuerNameHash.equals(digest(certificate.issuerDer)) && single.issuerKeyHash.equals(digest(keyBits(issuer)))
  );
}

function keyBits(certificate: Certificate): Buffer {
  const bits = children(readDer(certificate.spki, TAG.sequence), 2)[1];
  return bits === undefined ? Buffer.alloc(0) : readOctetBits(bits);
}

/** Signed by the issuer itself or by a responder that the issuer certified directly (RFC 6960 §4.2.2.2). */
function isAuthentic(response: OcspResponse, issuer: Certificate, at: Date): boolean {
  return [issuer, ...response.certificates].some((signer) => {
    try {
      if (!isNamed(response, signer)) return false;
      if (signer !== issuer && !isDelegate(signer, issuer, at)) return false;
      return isSignedBy(response, signer.publicKey);
    } catch {
      return false;
    }
  });
}

function isNamed({ responder }: OcspResponse, signer: Certificate): boolean {
  if (typeof responder === 'string') return responder === signer.subjectKey;
  return responder.equals(createHash('sha1').update(keyBits(signer)).digest());
}

/** Without ocsp-nocheck the responder's own status would have to be looked up first: not taken. */
function isDelegate(signer: Certificate, issuer: Certificate, at: Date): boolean {
  return (
    signer.extendedKeyUsage?.includes(PURPOSE.ocspSigning) === true &&
    signer.extensions.has(NO_CHECK) &&
    signer.keyUsage?.has('digitalSignature') !== false &&
    at >= signer.notBefore &&
    at <= signer.notAfter &&
    signer.issuerKey === issuer.subjectKey &&
    isSignedBy(signer, issuer.publicKey)
  );
}
