// One certificate revocation list (RFC 5280 §5), parsed once. Entries are walked once, when the first certificate is
// looked up; a list with a critical extension that is not understood, in itself or in any entry, may not be used.
import { SmimeError } from '../errors.ts';
import { type Extension, readExtensions, readSignature } from './certificate.ts';
import {
  asBuffer,
  children,
  context,
  DerCursor,
  type DerNode,
  enter,
  readDer,
  readIntegerBytes,
  readTime,
  TAG,
} from './der.ts';
import { type IssuingDistributionPoint, readIssuingDistributionPoint } from './distribution-point.ts';
import { decodeArmour } from './encoded.ts';
import { nameKeys } from './name.ts';
import { EXTENSION } from './oids.ts';

/** The largest public CRLs are some 10 MB. */
const MAX_CRL_BYTES = 16 * 1024 * 1024;

/** CRLReason (RFC 5280 §5.3.1); 8 takes a certificate off a hold in a delta. */
export const REMOVE_FROM_CRL = 8;

const KNOWN: ReadonlySet<string> = new Set([
  EXTENSION.authorityKeyIdentifier,
  EXTENSION.crlNumber,
  EXTENSION.deltaCrlIndicator,
  EXTENSION.issuingDistributionPoint,
  EXTENSION.freshestCrl,
]);

const KNOWN_IN_ENTRY: ReadonlySet<string> = new Set([EXTENSION.reasonCode, EXTENSION.certificateIssuer]);

export class Crl {
  readonly der: Buffer;
  readonly tbs: Buffer;
  readonly signatureAlgorithm: Buffer;
  readonly signature: Buffer;
  /** Comparison form of the issuer's name. */
  readonly issuerKey: string;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date | undefined;
  readonly point: IssuingDistributionPoint | undefined;
  /** The extension as encoded: a delta must have the same scope as its base (§5.2.4). */
  readonly pointDer: Buffer | undefined;
  readonly authorityKeyId: Buffer | undefined;
  readonly number: bigint | undefined;
  /** BaseCRLNumber when this is a delta. */
  readonly baseNumber: bigint | undefined;
  readonly #critical: boolean;
  readonly #revoked: DerNode | undefined;
  #entries: Map<string, number> | undefined;
  #usable = true;

  constructor(der: Buffer) {
    this.der = der;
    const outer = enter(readDer(der, TAG.sequence));
    const tbs = outer.next(TAG.sequence);
    this.tbs = tbs.bytes;
    this.signatureAlgorithm = outer.next(TAG.sequence).bytes;
    this.signature = readSignature(outer.next(TAG.bitString));
    outer.end();
    const cursor = enter(tbs);
    cursor.optional(TAG.integer);
    if (!cursor.next(TAG.sequence).bytes.equals(this.signatureAlgorithm)) throw new SmimeError('malformed-der');
    const issuerDer = cursor.next(TAG.sequence).bytes;
    this.issuerKey = nameKeys(issuerDer).join(',');
    this.thisUpdate = readTime(cursor.next());
    const following = cursor.peek === TAG.utcTime || cursor.peek === TAG.generalizedTime;
    this.nextUpdate = following ? readTime(cursor.next()) : undefined;
    this.#revoked = cursor.optional(TAG.sequence);
    const wrapped = cursor.optional(context(0, true));
    cursor.end();
    const extensions: ReadonlyMap<string, Extension> =
      wrapped === undefined ? new Map() : readExtensions(readDer(wrapped.content, TAG.sequence));
    const value = (oid: string): Buffer | undefined => extensions.get(oid)?.value;
    this.#critical = [...extensions].some(([oid, { critical }]) => critical && !KNOWN.has(oid));
    this.pointDer = value(EXTENSION.issuingDistributionPoint);
    this.point = this.pointDer && readIssuingDistributionPoint(this.pointDer, issuerDer);
    const keyId = value(EXTENSION.authorityKeyIdentifier);
    this.authorityKeyId = keyId && enter(readDer(keyId, TAG.sequence)).optional(context(0))?.content;
    this.number = readNumber(value(EXTENSION.crlNumber));
    this.baseNumber = readNumber(value(EXTENSION.deltaCrlIndicator));
  }

  /** False when something critical in it is not understood or an entry is malformed. */
  get usable(): boolean {
    if (this.#critical) return false;
    this.#index();
    return this.#usable;
  }

  /** CRLReason of the entry for this issuer name and serial (0 when none is given), or undefined when not listed. */
  lookUp(issuerKey: string, serial: Buffer): number | undefined {
    return this.#index().get(`${serial.toString('hex')} ${issuerKey}`);
  }

  #index(): Map<string, number> {
    if (this.#entries !== undefined) return this.#entries;
    const entries = new Map<string, number>();
    this.#entries = entries;
    try {
      // An indirect CRL names the issuer where it changes; entries that follow inherit it (§5.3.3).
      let issuer = this.issuerKey;
      const cursor = this.#revoked === undefined ? undefined : enter(this.#revoked);
      while (cursor !== undefined && !cursor.done) {
        const entry = enter(cursor.next(TAG.sequence));
        const serial = readIntegerBytes(entry.next(TAG.integer));
        // The date of revocation decides nothing and is not decoded: large lists have hundreds of thousands.
        entry.next();
        const wrapped = entry.optional(TAG.sequence);
        entry.end();
        const extensions = wrapped === undefined ? undefined : readExtensions(wrapped);
        issuer = entryIssuer(extensions) ?? issuer;
        for (const [oid, { critical }] of extensions ?? []) {
          if (critical && !KNOWN_IN_ENTRY.has(oid)) this.#usable = false;
        }
        entries.set(`${serial.toString('hex')} ${issuer}`, entryReason(extensions));
      }
    } catch {
      this.#usable = false;
    }
    return entries;
  }
}

function readNumber(value: Buffer | undefined): bigint | undefined {
  if (value === undefined) return undefined;
  const bytes = readIntegerBytes(readDer(value, TAG.integer));
  // RFC 5280 §5.2.3: at most 20 octets; a longer one orders nothing.
  if (bytes.length > 20 || (bytes[0] ?? 0) >= 0x80) throw new SmimeError('malformed-der');
  return BigInt(`0x${bytes.toString('hex')}`);
}

function entryReason(extensions: ReadonlyMap<string, Extension> | undefined): number {
  const reason = extensions?.get(EXTENSION.reasonCode);
  return reason === undefined ? 0 : (readDer(reason.value, TAG.enumerated).content[0] ?? 0);
}

function entryIssuer(extensions: ReadonlyMap<string, Extension> | undefined): string | undefined {
  const issuer = extensions?.get(EXTENSION.certificateIssuer);
  if (issuer === undefined) return undefined;
  const directory = children(readDer(issuer.value, TAG.sequence), 16).find(({ tag }) => tag === context(4, true));
  if (directory === undefined) throw new SmimeError('malformed-der');
  return nameKeys(directory.content).join(',');
}

/** All CRLs of a file: DER, several in a row, PEM `X509 CRL` blocks or base64. Throws SmimeError `malformed-crl` or `limit-exceeded`. */
export function parseCrls(bytes: Uint8Array): Crl[] {
  if (bytes.length > MAX_CRL_BYTES) throw new SmimeError('limit-exceeded');
  const crls: Crl[] = [];
  try {
    for (const { label, der } of decodeArmour(asBuffer(bytes))) {
      if (label !== '' && label !== 'X509 CRL' && label !== 'CRL') continue;
      const cursor = new DerCursor(der);
      while (!cursor.done) crls.push(new Crl(Buffer.from(cursor.next(TAG.sequence).bytes)));
    }
  } catch {
    throw new SmimeError('malformed-crl');
  }
  return crls;
}
