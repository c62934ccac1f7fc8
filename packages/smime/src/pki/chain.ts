// Certificate chains from a leaf to a trust anchor (RFC 4158): depth first, best candidates first, cross-certificates
// and key rollover included. Loops are cut by subject and key; work is bounded by a budget, because a hostile message
// may carry hundreds of certificates of one name that all sign each other.
import type { Certificate } from './certificate.ts';
import { isSignedBy } from './signature.ts';

/** Certificates in a chain with leaf and anchor. The public web stays under 6, bridges under 10. */
const MAX_CHAIN = 16;
/** Chains extended in one search. */
const MAX_STEPS = 2048;
/** Signatures checked in one search: the largest RSA keys take a millisecond each. */
const MAX_SIGNATURES = 512;

/** Certificates of one name considered, trust anchors first: each step up looks at all of them. */
const MAX_SAME_NAME = 128;

/** How far a search that found no chain came. */
export interface DeadEnd {
  readonly code: 'no-issuer' | 'untrusted' | 'signature' | 'too-complex';
  /** Index of the certificate whose issuer was not found; 0 is the leaf. */
  readonly depth: number;
}

export class ChainSearch {
  readonly #bySubject = new Map<string, Certificate[]>();
  readonly #anchors: ReadonlySet<string>;
  readonly #at: Date;
  #steps = MAX_STEPS;
  #signatures = MAX_SIGNATURES;
  deadEnd: DeadEnd = { code: 'no-issuer', depth: 0 };

  constructor(pool: readonly Certificate[], trust: readonly Certificate[], at: Date) {
    this.#anchors = new Set(trust.map(({ fingerprint }) => fingerprint));
    this.#at = at;
    const seen = new Set<string>();
    for (const certificate of [...trust, ...pool]) {
      if (seen.has(certificate.fingerprint)) continue;
      seen.add(certificate.fingerprint);
      const same = this.#bySubject.get(certificate.subjectKey);
      if (same === undefined) this.#bySubject.set(certificate.subjectKey, [certificate]);
      else if (same.length < MAX_SAME_NAME) same.push(certificate);
    }
  }

  /** Every certificate of this subject in the search. */
  named(subjectKey: string): readonly Certificate[] {
    return this.#bySubject.get(subjectKey) ?? [];
  }

  /** Chains with good signatures, leaf first, anchor last. Keys that need inherited DSA parameters are not checked here. */
  *chains(leaf: Certificate): Generator<readonly Certificate[]> {
    const stack: (readonly Certificate[])[] = [[leaf]];
    for (let chain = stack.pop(); chain !== undefined; chain = stack.pop()) {
      const top = chain.at(-1) ?? leaf;
      if (this.#anchors.has(top.fingerprint)) {
        yield chain;
        continue;
      }
      const spent = this.#steps === 0 || this.#signatures === 0;
      if (spent || chain.length === MAX_CHAIN) this.deadEnd = { code: 'too-complex', depth: chain.length - 1 };
      if (spent) return;
      this.#steps -= 1;
      const issuers = chain.length < MAX_CHAIN ? this.#issuers(top, chain) : [];
      // The best candidate is pushed last and so tried first.
      for (const issuer of issuers.reverse()) stack.push([...chain, issuer]);
    }
  }

  #issuers(subject: Certificate, chain: readonly Certificate[]): Certificate[] {
    const candidates = this.named(subject.issuerKey)
      .filter((issuer) => !chain.some((c) => c.subjectKey === issuer.subjectKey && c.spki.equals(issuer.spki)))
      .map((issuer) => ({ issuer, rank: this.#rank(subject, issuer) }))
      .sort((a, b) => b.rank - a.rank);
    const issuers: Certificate[] = [];
    for (const { issuer } of candidates) {
      if (this.#signatures === 0) break;
      this.#signatures -= 1;
      if (mayHaveSigned(issuer, subject)) issuers.push(issuer);
    }
    if (issuers.length === 0) this.#note(subject, chain.length - 1, candidates.length);
    return issuers;
  }

  #rank(subject: Certificate, issuer: Certificate): number {
    const anchor = this.#anchors.has(issuer.fingerprint) ? 4 : 0;
    const keyId = subject.authorityKeyId && issuer.subjectKeyId?.equals(subject.authorityKeyId) ? 2 : 0;
    const current = this.#at >= issuer.notBefore && this.#at <= issuer.notAfter ? 1 : 0;
    return anchor + keyId + current;
  }

  #note(top: Certificate, depth: number, candidates: number): void {
    if (depth < this.deadEnd.depth) return;
    const code = candidates > 0 ? 'signature' : top.selfIssued ? 'untrusted' : 'no-issuer';
    this.deadEnd = { code, depth };
  }
}

/** A DSA key without parameters takes them from its own issuer, which is not known while walking up. */
export function inheritsParameters(certificate: Certificate): boolean {
  return certificate.keyAlgorithm === 'dsa' && certificate.keyType.parameters === undefined;
}

function mayHaveSigned(issuer: Certificate, subject: Certificate): boolean {
  if (inheritsParameters(issuer)) return true;
  try {
    return isSignedBy(subject, issuer.publicKey);
  } catch {
    return false;
  }
}
