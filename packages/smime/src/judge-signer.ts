// One checked signer against the world: is the certificate trusted at the time, strong enough, and the sender's?
import type { MessageClaims } from './claims.ts';
import type { CheckedSigner } from './cms/verify.ts';
import { addressesMatch } from './pki/address.ts';
import type { Certificate } from './pki/certificate.ts';
import type { Crl } from './pki/crl.ts';
import { readName } from './pki/name.ts';
import { type PathResult, validatePath } from './pki/path.ts';
import type { SignerVerdict, Weakness } from './verdict.ts';

export interface TrustOptions {
  /** Roots. A certificate in the message is never one. */
  readonly trust: readonly Certificate[];
  readonly intermediates?: readonly Certificate[];
  readonly crls?: readonly Crl[];
  /** The time for which certificates must be valid. */
  readonly at: Date;
  /**
   * Whether an emailAddress in the subject counts where the subjectAltName has no address. Default true: RFC 8550 §3
   * wants it; the Baseline Requirements have made it needless.
   */
  readonly subjectAddresses?: boolean;
  /** False leaves certificate path and time out of the verdict. */
  readonly path?: boolean;
}

/** RFC 8551 §4.3: below this an RSA signature may be forged with money. */
const MIN_RSA_BITS = 2048;

/**
 * How far the signing time may lie from the Date field. CVE-2023-50761: a mail signed once could be shown as sent at
 * any time; Thunderbird takes an hour too.
 */
const MAX_DATE_SKEW = 60 * 60 * 1000;

export function judgeSigner(
  signer: CheckedSigner,
  carried: readonly Certificate[],
  { from, sent }: MessageClaims,
  options: TrustOptions,
): SignerVerdict {
  const { problem, certificate, overLineFeeds: _, ...facts } = signer;
  const integrity = integrityOf(signer);
  const fromMatch = certificate !== undefined && from !== undefined && namesAll(certificate, from, options);
  const path = integrity === 'valid' && options.path !== false ? pathOf(certificate, carried, options) : undefined;
  const weaknesses = [...new Set([...weaknessesOf(signer, sent), ...pathWeaknesses(path)])];
  const trusted = options.path === false || path?.ok === true;
  return {
    ...facts,
    integrity,
    ...(problem === undefined ? {} : { problem }),
    ...(certificate === undefined ? {} : { certificate }),
    ...(path === undefined ? {} : { path }),
    fromMatch,
    weaknesses,
    verified: integrity === 'valid' && weaknesses.length === 0 && trusted && (from === undefined || fromMatch),
  };
}

function integrityOf({ problem }: CheckedSigner): SignerVerdict['integrity'] {
  if (problem === undefined) return 'valid';
  return problem === 'no-certificate' || problem === 'unknown-algorithm' ? 'unchecked' : 'broken';
}

/** The last good path of a leaf: those who write today wrote yesterday. */
const goodPaths = new WeakMap<Certificate, GoodPath>();

type GoodPath = Extract<PathResult, { ok: true }>;

function pathOf(
  certificate: Certificate | undefined,
  carried: readonly Certificate[],
  options: TrustOptions,
): PathResult | undefined {
  if (certificate === undefined) return undefined;
  const { trust, at, crls } = options;
  const intermediates = [...carried, ...(options.intermediates ?? [])];
  const known = crls === undefined ? goodPaths.get(certificate) : undefined;
  if (known !== undefined && stillHolds(known, intermediates, options)) return known;
  const purpose = 'smime-sign';
  const result = validatePath({
    leaf: certificate,
    intermediates,
    trust,
    at,
    purpose,
    ...(crls === undefined ? {} : { crls }),
  });
  if (result.ok && crls === undefined && result.weaknesses.length === 0) goodPaths.set(certificate, result);
  return result;
}

/** Without revocation a path depends on its certificates, on their being given, on the trust in the last, and on the time. */
function stillHolds({ path }: GoodPath, given: readonly Certificate[], { trust, at }: TrustOptions): boolean {
  const anchor = path.at(-1);
  const isGiven = path.slice(1, -1).every((certificate) => given.includes(certificate));
  const isValid = path.every(({ notBefore, notAfter }) => notBefore <= at && at <= notAfter);
  return anchor !== undefined && trust.includes(anchor) && isGiven && isValid;
}

/** Every From address must be among those of the certificate; none at all matches nothing. */
export function namesAll(certificate: Certificate, addresses: readonly string[], options: TrustOptions): boolean {
  const own = certificate.addresses.length > 0 ? certificate.addresses : subjectAddresses(certificate, options);
  return (
    addresses.length > 0 && addresses.every((address) => own.some((candidate) => addressesMatch(candidate, address)))
  );
}

const EMAIL_ADDRESS = '1.2.840.113549.1.9.1';

function subjectAddresses(certificate: Certificate, options: TrustOptions): string[] {
  if (options.subjectAddresses === false) return [];
  const attributes = readName(certificate.subjectDer).flat();
  return attributes.flatMap(({ type, text }) => (type === EMAIL_ADDRESS && text !== undefined ? [text] : []));
}

function weaknessesOf(signer: CheckedSigner, sent: Date | undefined): Weakness[] {
  const { digest, scheme, certificate, signingTime } = signer;
  const found: Weakness[] = signer.overLineFeeds ? ['signed-over-lf'] : [];
  const skew = sent === undefined || signingTime === undefined ? 0 : Math.abs(sent.getTime() - signingTime.getTime());
  if (skew > MAX_DATE_SKEW) found.push('date-mismatch');
  if (digest === 'md5' || digest === 'sha1') found.push(digest);
  if (scheme === 'dsa') found.push('dsa');
  if (certificate !== undefined && isSmall(certificate)) found.push('small-key');
  return found;
}

function pathWeaknesses(path: PathResult | undefined): Weakness[] {
  if (path?.ok !== true) return [];
  return path.weaknesses.map((weakness) => (weakness === 'weak-key' ? 'small-key' : 'sha1'));
}

function isSmall(certificate: Certificate): boolean {
  try {
    const bits = certificate.keyDetails.modulusLength;
    return bits !== undefined && bits < MIN_RSA_BITS;
  } catch {
    return false;
  }
}
