// One checked signer against the world: is the certificate trusted at the time, strong enough, and the sender's?
import type { CheckedSigner } from './cms/verify.ts';
import { addressesMatch } from './pki/address.ts';
import type { Certificate } from './pki/certificate.ts';
import type { Crl } from './pki/crl.ts';
import { type PathResult, validatePath } from './pki/path.ts';
import type { SignerVerdict, Weakness } from './verdict.ts';

export interface TrustOptions {
  /** Roots. A certificate in the message is never one. */
  readonly trust: readonly Certificate[];
  readonly intermediates?: readonly Certificate[];
  readonly crls?: readonly Crl[];
  /** The time for which certificates must be valid. */
  readonly at: Date;
  /** False leaves certificate path and time out of the verdict. */
  readonly path?: boolean;
}

/** RFC 8551 §4.3: below this an RSA signature may be forged with money. */
const MIN_RSA_BITS = 2048;

/** `from`: addresses that the certificate must all name; undefined leaves the sender out. */
export function judgeSigner(
  signer: CheckedSigner,
  carried: readonly Certificate[],
  from: readonly string[] | undefined,
  options: TrustOptions,
): SignerVerdict {
  const { problem, certificate, overLineFeeds: _, ...facts } = signer;
  const integrity = integrityOf(signer);
  const fromMatch = certificate !== undefined && from !== undefined && namesAll(certificate, from);
  const path = integrity === 'valid' && options.path !== false ? pathOf(certificate, carried, options) : undefined;
  const weaknesses = [...new Set([...weaknessesOf(signer), ...pathWeaknesses(path)])];
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

function pathOf(
  certificate: Certificate | undefined,
  carried: readonly Certificate[],
  options: TrustOptions,
): PathResult | undefined {
  if (certificate === undefined) return undefined;
  const { trust, at, intermediates = [], crls } = options;
  return validatePath({
    leaf: certificate,
    intermediates: [...carried, ...intermediates],
    trust,
    at,
    purpose: 'smime',
    ...(crls === undefined ? {} : { crls }),
  });
}

/** Every From address must be among those of the certificate; none at all matches nothing. */
export function namesAll(certificate: Certificate, addresses: readonly string[]): boolean {
  return (
    addresses.length > 0 &&
    addresses.every((address) => certificate.addresses.some((own) => addressesMatch(own, address)))
  );
}

function weaknessesOf({ digest, scheme, certificate, overLineFeeds }: CheckedSigner): Weakness[] {
  const found: Weakness[] = overLineFeeds ? ['signed-over-lf'] : [];
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
    const bits = certificate.publicKey.asymmetricKeyDetails?.modulusLength;
    return bits !== undefined && bits < MIN_RSA_BITS;
  } catch {
    return false;
  }
}
