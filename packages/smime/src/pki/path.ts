// Certificate path validation (RFC 5280 §6). Pure: trust anchors, other certificates, revocation material and the time
// are given. Every chain that the search finds is tried until one holds; only what is given as trust ends a chain, so a
// root that came with the message counts for nothing.
import { addressesMatch } from './address.ts';
import type { Certificate } from './certificate.ts';
import { ChainSearch, type DeadEnd } from './chain.ts';
import { type ChainFault, checkChain } from './chain-rules.ts';
import type { Crl } from './crl.ts';
import { type OcspResponse, ocspStatus } from './ocsp.ts';
import { PURPOSE } from './oids.ts';
import type { PolicyInputs } from './policy.ts';
import { isWeakKey, servesPurpose } from './purpose.ts';
import { crlStatus, type RevocationStatus } from './revocation.ts';
import { signatureScheme } from './signature.ts';

/** A CRL signer outside the path has a path of its own, which may need another: PKITS needs one, nobody needs four. */
const MAX_NESTED_PATHS = 3;
/** Chains that validation tries before it gives up. */
const MAX_TRIES = 64;

const PURPOSE_OID: Readonly<Record<PathPurpose, string | undefined>> = {
  smime: PURPOSE.emailProtection,
  'smime-sign': PURPOSE.emailProtection,
  'tls-client': PURPOSE.clientAuth,
  'tls-server': PURPOSE.serverAuth,
  any: undefined,
};

/** `smime` asks for the extended key usage; `smime-sign` also for a leaf that may sign. */
export type PathPurpose = 'smime' | 'smime-sign' | 'tls-client' | 'tls-server' | 'any';

export interface PathRequest extends PolicyInputs {
  readonly leaf: Certificate;
  /** Certificates that may help to build the path; none of them is trusted. */
  readonly intermediates?: readonly Certificate[];
  readonly trust: readonly Certificate[];
  readonly crls?: readonly Crl[];
  readonly ocsp?: readonly OcspResponse[];
  readonly at: Date;
  readonly purpose: PathPurpose;
  /** Mailbox that the leaf must name in its subjectAltName. */
  readonly address?: string;
  /**
   * `required`: every certificate below the anchor needs a fresh CRL or OCSP answer. `known`: an answer counts where
   * there is one. Default: `required` when crls or ocsp are given, else no check.
   */
  readonly revocation?: 'required' | 'known';
}

export interface PathFailure {
  readonly code: ChainFault['code'] | DeadEnd['code'] | 'revoked' | 'revocation-unknown' | 'purpose' | 'address';
  /** Position of the certificate at fault: 0 is the leaf. */
  readonly depth: number;
}

/** Not reasons to fail a path by themselves, but never part of a clean verdict. */
export type PathWeakness = 'sha1-signature' | 'weak-key';

export type PathResult =
  /** `path` is leaf first, trust anchor last. */
  | { readonly ok: true; readonly path: readonly Certificate[]; readonly weaknesses: readonly PathWeakness[] }
  | { readonly ok: false; readonly failure: PathFailure };

/** Never throws on bad certificates: whatever is wrong is in the failure. */
export function validatePath(request: PathRequest): PathResult {
  const result = findPath(request.leaf, request, []);
  if (!result.ok || request.address === undefined) return result;
  const { address } = request;
  const named = request.leaf.addresses.some((candidate) => addressesMatch(candidate, address));
  return named ? result : { ok: false, failure: { code: 'address', depth: 0 } };
}

/** `pending`: fingerprints of leaves whose validation waits for this one, so that none can vouch for itself. */
function findPath(leaf: Certificate, request: PathRequest, pending: readonly string[]): PathResult {
  const search = new ChainSearch([leaf, ...(request.intermediates ?? [])], request.trust, request.at);
  let failure: PathFailure | undefined;
  let tries = 0;
  for (const chain of search.chains(leaf)) {
    const found = checkOne(chain, request, search, pending);
    if (found === undefined) return { ok: true, path: chain, weaknesses: weaknesses(chain) };
    failure ??= found;
    tries += 1;
    if (tries === MAX_TRIES) return { ok: false, failure: { code: 'too-complex', depth: found.depth } };
  }
  return { ok: false, failure: failure ?? search.deadEnd };
}

function checkOne(
  chain: readonly Certificate[],
  request: PathRequest,
  search: ChainSearch,
  pending: readonly string[],
): PathFailure | undefined {
  const fault = checkChain(chain, request);
  if (fault !== undefined) return fault;
  const purpose = PURPOSE_OID[request.purpose];
  if (purpose !== undefined) {
    // Issuers too: a CA limited to other purposes cannot make a mail certificate (S/MIME BR 7.1.2.2).
    const depth = chain.findLastIndex((certificate) => !servesPurpose(certificate, purpose));
    if (depth >= 0) return { code: 'purpose', depth };
  }
  const usage = chain[0]?.keyUsage;
  if (request.purpose === 'smime-sign' && usage?.has('digitalSignature') === false && !usage.has('contentCommitment')) {
    return { code: 'key-usage', depth: 0 };
  }
  return checkRevocation(chain, request, search, pending);
}

/** From the anchor down: an answer signed under a revoked CA must not be listened to. */
function checkRevocation(
  chain: readonly Certificate[],
  request: PathRequest,
  search: ChainSearch,
  pending: readonly string[],
): PathFailure | undefined {
  const { crls = [], ocsp = [] } = request;
  const mode = request.revocation ?? (crls.length + ocsp.length > 0 ? 'required' : undefined);
  if (mode === undefined) return undefined;
  for (let depth = chain.length - 2; depth >= 0; depth--) {
    const status = revocationStatus(chain, depth, request, search, pending);
    if (status === 'revoked') return { code: 'revoked', depth };
    if (status === 'unknown' && mode === 'required') return { code: 'revocation-unknown', depth };
  }
  return undefined;
}

function revocationStatus(
  chain: readonly Certificate[],
  depth: number,
  request: PathRequest,
  search: ChainSearch,
  pending: readonly string[],
): RevocationStatus {
  const certificate = chain[depth];
  const issuer = chain[depth + 1];
  const anchor = chain.at(-1);
  if (certificate === undefined || issuer === undefined || anchor === undefined) return 'unknown';
  const answered = ocspStatus(certificate, issuer, request.ocsp ?? [], request.at);
  if (answered !== 'unknown') return answered;
  const above = chain.slice(depth + 1);
  const waiting = [...pending, certificate.fingerprint];
  const isTrusted = (signer: Certificate): boolean => {
    if (above.includes(signer)) return true;
    if (waiting.length > MAX_NESTED_PATHS || waiting.includes(signer.fingerprint)) return false;
    // The signer's path must end at the same anchor (§6.3.3 (f)), else any other CA could revoke or clear.
    const nested: PathRequest = { ...nestedRequest(request), leaf: signer, trust: [anchor], revocation: 'required' };
    return findPath(signer, nested, waiting).ok;
  };
  return crlStatus(certificate, request.crls ?? [], request.at, {
    named: (subjectKey) => [...above.filter((c) => c.subjectKey === subjectKey), ...search.named(subjectKey)],
    isTrusted,
  });
}

/** A CRL signer needs a path, but neither the mail purpose nor the caller's policies. */
function nestedRequest({ intermediates, crls, ocsp, at }: PathRequest): Omit<PathRequest, 'leaf' | 'trust'> {
  return { intermediates: intermediates ?? [], crls: crls ?? [], ocsp: ocsp ?? [], at, purpose: 'any' };
}

function weaknesses(chain: readonly Certificate[]): PathWeakness[] {
  const signed = chain.slice(0, -1);
  const found: PathWeakness[] = [];
  if (signed.some((c) => signatureScheme(c.signatureAlgorithm)?.digest === 'sha1')) found.push('sha1-signature');
  if (chain.some(isWeakKey)) found.push('weak-key');
  return found;
}
