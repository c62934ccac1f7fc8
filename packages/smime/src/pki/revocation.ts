// Certificate status from CRLs (RFC 5280 §6.3.3): scope by distribution points, indirect CRLs, reason masks, deltas.
// Pure: nothing is fetched, and what is stale at `at`, not understood or signed by somebody untrusted is left out.
import type { Certificate } from './certificate.ts';
import { type Crl, REMOVE_FROM_CRL } from './crl.ts';
import { ALL_REASONS, type DistributionPoint, issuerPoint, readDistributionPoints } from './distribution-point.ts';
import { EXTENSION } from './oids.ts';
import { isSignedBy } from './signature.ts';

export type RevocationStatus = 'good' | 'revoked' | 'unknown';

/** Who may have signed a CRL. */
export interface CrlSigners {
  named(subjectKey: string): readonly Certificate[];
  /** Whether this certificate chains to the anchor of the path in question. */
  isTrusted(signer: Certificate): boolean;
}

/** `good` only when CRLs for all reasons were found and none lists the certificate. */
export function crlStatus(
  certificate: Certificate,
  crls: readonly Crl[],
  at: Date,
  signers: CrlSigners,
): RevocationStatus {
  // Newest first: an older list that is still fresh must not clear what a newer one revokes.
  const current = crls.filter((crl) => isCurrent(crl, at)).sort((a, b) => Number(b.thisUpdate) - Number(a.thisUpdate));
  const bases = current.filter(({ baseNumber }) => baseNumber === undefined);
  let covered = 0;
  for (const point of pointsOf(certificate)) {
    for (const crl of bases) {
      const reasons = reasonsInScope(crl, point, certificate);
      if ((reasons & ~covered) === 0 || !isAuthentic(crl, signers)) continue;
      const delta = current.find((other) => extendsBase(other, crl) && isAuthentic(other, signers));
      const reason = delta?.lookUp(certificate.issuerKey, certificate.serial);
      const listed = reason ?? crl.lookUp(certificate.issuerKey, certificate.serial);
      if (listed !== undefined && listed !== REMOVE_FROM_CRL) return 'revoked';
      covered |= reasons;
    }
  }
  return covered === ALL_REASONS ? 'good' : 'unknown';
}

/** A list without nextUpdate breaks RFC 5280 §5.1.2.5 and could be replayed for ever. */
function isCurrent(crl: Crl, at: Date): boolean {
  return crl.thisUpdate <= at && crl.nextUpdate !== undefined && at <= crl.nextUpdate;
}

/** The points that the certificate names, then the one that every certificate has: its issuer. Malformed: none at all. */
function pointsOf(certificate: Certificate): DistributionPoint[] {
  const implied = { name: [issuerPoint(certificate.issuerKey)], reasons: ALL_REASONS, crlIssuer: undefined };
  const extension = certificate.extensions.get(EXTENSION.crlDistributionPoints);
  if (extension === undefined) return [implied];
  try {
    return [...readDistributionPoints(extension.value, certificate.issuerDer), implied];
  } catch {
    return [];
  }
}

/** The reasons for which this CRL speaks about this certificate at this point, 0 when it does not (§6.3.3 (b), (d)). */
function reasonsInScope(crl: Crl, point: DistributionPoint, certificate: Certificate): number {
  const { point: scope } = crl;
  if (crl.issuerKey !== (point.crlIssuer ?? certificate.issuerKey)) return 0;
  if (point.crlIssuer !== undefined && crl.issuerKey !== certificate.issuerKey && scope?.indirect !== true) return 0;
  if (scope === undefined) return point.reasons;
  if (scope.onlyAttribute || (scope.onlyUser && certificate.isCa) || (scope.onlyCa && !certificate.isCa)) return 0;
  const names = point.name ?? (point.crlIssuer === undefined ? [] : [issuerPoint(point.crlIssuer)]);
  if (scope.name !== undefined && !scope.name.some((name) => names.includes(name))) return 0;
  return point.reasons & scope.reasons;
}

/** §5.2.4: same issuer, same scope, same key, made for this base or an older one, and newer than it. */
function extendsBase(delta: Crl, base: Crl): boolean {
  if (delta.baseNumber === undefined || base.number === undefined || delta.number === undefined) return false;
  if (delta.issuerKey !== base.issuerKey) return false;
  if (!sameBytes(delta.pointDer, base.pointDer) || !sameBytes(delta.authorityKeyId, base.authorityKeyId)) return false;
  return delta.baseNumber <= base.number && delta.number >= base.number;
}

function sameBytes(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b);
}

/** Signed by a trusted certificate of the CRL's issuer that may sign CRLs, and understood. */
function isAuthentic(crl: Crl, signers: CrlSigners): boolean {
  if (!crl.usable) return false;
  return signers.named(crl.issuerKey).some((signer) => {
    if (signer.keyUsage?.has('cRLSign') === false) return false;
    try {
      return isSignedBy(crl, signer.publicKey) && signers.isTrusted(signer);
    } catch {
      return false;
    }
  });
}
