// The rules of RFC 5280 §6.1 for one complete chain, from the anchor down: signature, validity, names, policies, basic
// constraints, path length, key usage, unknown critical extensions. The anchor's own limits are kept too (RFC 5937).
import type { KeyObject } from 'node:crypto';
import { type Certificate, importPublicKey } from './certificate.ts';
import { inheritsParameters } from './chain.ts';
import { children, readDer, TAG } from './der.ts';
import { sequence } from './der-write.ts';
import { type NameConstraints, namesAllowed, readNameConstraints } from './name-constraints.ts';
import { EXTENSION } from './oids.ts';
import { type PolicyInputs, PolicyState } from './policy.ts';
import { isSignedBy, signatureScheme } from './signature.ts';

export interface ChainFault {
  readonly code:
    | 'signature'
    | 'algorithm'
    | 'not-yet-valid'
    | 'expired'
    | 'not-a-ca'
    | 'path-length'
    | 'key-usage'
    | 'name-constraints'
    | 'policy'
    | 'critical-extension';
  /** 0 is the leaf. */
  readonly depth: number;
}

/** Everything that some file of this room evaluates or that only informs. */
const KNOWN: ReadonlySet<string> = new Set([
  EXTENSION.subjectKeyIdentifier,
  EXTENSION.authorityKeyIdentifier,
  EXTENSION.keyUsage,
  EXTENSION.subjectAltName,
  EXTENSION.basicConstraints,
  EXTENSION.nameConstraints,
  EXTENSION.crlDistributionPoints,
  EXTENSION.freshestCrl,
  EXTENSION.certificatePolicies,
  EXTENSION.policyMappings,
  EXTENSION.policyConstraints,
  EXTENSION.inhibitAnyPolicy,
  EXTENSION.extendedKeyUsage,
]);

/** `chain` is leaf first, anchor last; names are known to link. The first fault from the top, or undefined. */
export function checkChain(
  chain: readonly Certificate[],
  { at, ...inputs }: PolicyInputs & { readonly at: Date },
): ChainFault | undefined {
  const anchor = chain.at(-1);
  if (anchor === undefined) return { code: 'signature', depth: 0 };
  const top = chain.length - 1;
  const policy = new PolicyState(top, inputs);
  const constraints: NameConstraints[] = [];
  let pathLength = anchor.pathLength ?? Number.POSITIVE_INFINITY;
  let key: KeyObject | undefined;

  for (let depth = top; depth >= 0; depth--) {
    const certificate = chain[depth];
    if (certificate === undefined) break;
    const fault = (code: ChainFault['code']): ChainFault => ({ code, depth });
    if (at < certificate.notBefore) return fault('not-yet-valid');
    if (at > certificate.notAfter) return fault('expired');
    if (depth < top) {
      if (signatureScheme(certificate.signatureAlgorithm) === undefined) return fault('algorithm');
      if (key === undefined || !isSignedBy(certificate, key)) return fault('signature');
      if ((depth === 0 || !certificate.selfIssued) && !namesAllowed(certificate, constraints)) {
        return fault('name-constraints');
      }
      try {
        policy.add(certificate, depth === 0);
      } catch {
        return fault('policy');
      }
    }
    if (depth > 0) {
      if (!mayIssue(certificate, depth === top)) return fault('not-a-ca');
      if (depth < top) {
        if (!certificate.selfIssued) {
          if (pathLength <= 0) return fault('path-length');
          pathLength -= 1;
        }
        pathLength = Math.min(pathLength, certificate.pathLength ?? pathLength);
      }
      if (certificate.keyUsage?.has('keyCertSign') === false) return fault('key-usage');
      try {
        const own = readNameConstraints(certificate);
        if (own !== undefined) constraints.push(own);
      } catch {
        return fault('name-constraints');
      }
    }
    if (hasUnknownCritical(certificate)) return fault('critical-extension');
    if (depth > 0) key = workingKey(certificate, chain[depth + 1]);
  }
  return policy.satisfied() ? undefined : { code: 'policy', depth: 0 };
}

/** Below the anchor only v3 with cA; as anchor also v1 roots, which have no extensions. A pinned leaf issues nothing. */
function mayIssue(certificate: Certificate, isAnchor: boolean): boolean {
  return certificate.isCa || (isAnchor && certificate.version === 0 && certificate.selfIssued);
}

function hasUnknownCritical(certificate: Certificate): boolean {
  for (const [oid, { critical }] of certificate.extensions) {
    if (critical && !KNOWN.has(oid)) return true;
  }
  return false;
}

/** The certificate's key, with DSA parameters of the issuer where it has none (§6.1.4 (f)); undefined if it is none. */
function workingKey(certificate: Certificate, issuer: Certificate | undefined): KeyObject | undefined {
  try {
    if (!inheritsParameters(certificate)) return certificate.publicKey;
    const parameters = issuer?.keyAlgorithm === 'dsa' ? issuer.keyType.parameters : undefined;
    const [identifier, bits] = children(readDer(certificate.spki, TAG.sequence));
    const [oid] = identifier === undefined ? [] : children(identifier);
    if (parameters === undefined || oid === undefined || bits === undefined) return undefined;
    return importPublicKey(sequence(sequence(oid.bytes, parameters.bytes), bits.bytes));
  } catch {
    return undefined;
  }
}
