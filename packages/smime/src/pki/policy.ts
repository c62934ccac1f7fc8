// Certificate policies along a path (RFC 5280 §6.1.2 to 6.1.5). The RFC's policy tree can grow exponentially
// (CVE-2023-0464), so each level is kept as a graph with one node per policy (RFC 9618): same answers, linear size.
import { SmimeError } from '../errors.ts';
import type { Certificate } from './certificate.ts';
import { children, context, DerCursor, type DerNode, enter, readDer, readOid, readSmallInteger, TAG } from './der.ts';
import { ANY_POLICY, EXTENSION } from './oids.ts';

export interface PolicyInputs {
  /** user-initial-policy-set as OIDs; any when absent. */
  readonly policies?: readonly string[];
  readonly explicitPolicy?: boolean;
  readonly inhibitMapping?: boolean;
  readonly inhibitAnyPolicy?: boolean;
}

/** Policy → the policies of the level above it came from; none means that it came from anyPolicy. */
interface Level {
  readonly nodes: Map<string, string[]>;
  any: boolean;
}

/** Feed it the certificates of a path from below the anchor down to the leaf, then ask `satisfied`. */
export class PolicyState {
  readonly #wanted: ReadonlySet<string> | undefined;
  readonly #levels: Level[] = [];
  #current: Level = { nodes: new Map(), any: true };
  #explicit: number;
  #mapping: number;
  #inhibitAny: number;

  /** `length`: certificates in the path without the anchor. */
  constructor(length: number, inputs: PolicyInputs) {
    const { policies } = inputs;
    this.#wanted = policies === undefined || policies.includes(ANY_POLICY) ? undefined : new Set(policies);
    this.#explicit = inputs.explicitPolicy ? 0 : length + 1;
    this.#mapping = inputs.inhibitMapping ? 0 : length + 1;
    this.#inhibitAny = inputs.inhibitAnyPolicy ? 0 : length + 1;
  }

  /** Steps (d) to (f) of §6.1.3 and, unless it is the last, (a), (b), (h) to (j) of §6.1.4. Throws on malformed extensions. */
  add(certificate: Certificate, last: boolean): void {
    const mayBeAny = this.#inhibitAny > 0 || (!last && certificate.selfIssued);
    this.#intersect(readPolicies(certificate), mayBeAny);
    this.#levels.push(this.#current);
    if (!last) {
      this.#current = this.#map(readMappings(certificate));
      if (!certificate.selfIssued) this.#count();
    } else if (this.#explicit > 0) {
      this.#explicit -= 1;
    }
    const { requireExplicit, inhibitMapping } = readPolicyConstraints(certificate);
    if (last) {
      if (requireExplicit === 0) this.#explicit = 0;
      return;
    }
    this.#explicit = Math.min(this.#explicit, requireExplicit);
    this.#mapping = Math.min(this.#mapping, inhibitMapping);
    this.#inhibitAny = Math.min(this.#inhibitAny, readInhibitAny(certificate));
  }

  /** §6.1.5 (g): an explicit policy is not required, or a wanted one leads all the way down. */
  satisfied(): boolean {
    return this.#explicit > 0 || this.#reaches();
  }

  #count(): void {
    if (this.#explicit > 0) this.#explicit -= 1;
    if (this.#mapping > 0) this.#mapping -= 1;
    if (this.#inhibitAny > 0) this.#inhibitAny -= 1;
  }

  #intersect(policies: ReadonlySet<string>, mayBeAny: boolean): void {
    const level = this.#current;
    const hadAny = level.any;
    if (!policies.has(ANY_POLICY) || !mayBeAny) {
      for (const policy of level.nodes.keys()) if (!policies.has(policy)) level.nodes.delete(policy);
      level.any = false;
    }
    if (!hadAny) return;
    for (const policy of policies) {
      if (policy !== ANY_POLICY && !level.nodes.has(policy)) level.nodes.set(policy, []);
    }
  }

  #map(mappings: readonly (readonly [string, string])[]): Level {
    const level = this.#current;
    const next: Level = { nodes: new Map(), any: level.any };
    const mapped = new Set(mappings.map(([issuer]) => issuer));
    for (const policy of mapped) {
      if (this.#mapping === 0) level.nodes.delete(policy);
      else if (level.any && !level.nodes.has(policy)) level.nodes.set(policy, []);
    }
    const edges = this.#mapping === 0 ? [] : mappings;
    const same = [...level.nodes.keys()].filter((policy) => !mapped.has(policy)).map((p): [string, string] => [p, p]);
    for (const [issuer, subject] of [...edges, ...same]) {
      if (!level.nodes.has(issuer)) continue;
      const parents = next.nodes.get(subject);
      if (parents === undefined) next.nodes.set(subject, [issuer]);
      else parents.push(issuer);
    }
    return next;
  }

  /** Walks from the leaf's policies up to where each came from anyPolicy: that is the policy in the anchor's terms. */
  #reaches(): boolean {
    const last = this.#levels.at(-1);
    if (last === undefined) return true;
    const wanted = this.#wanted;
    if (wanted === undefined) return last.any || last.nodes.size > 0;
    if (last.any && wanted.size > 0) return true;
    let reachable = new Set(last.nodes.keys());
    for (const level of [...this.#levels].reverse()) {
      const above = new Set<string>();
      for (const policy of reachable) {
        const parents = level.nodes.get(policy);
        if (parents === undefined) continue;
        if (parents.length === 0 && wanted.has(policy)) return true;
        for (const parent of parents) above.add(parent);
      }
      reachable = above;
    }
    return false;
  }
}

function extension(certificate: Certificate, oid: string): DerNode | undefined {
  const found = certificate.extensions.get(oid);
  return found === undefined ? undefined : readDer(found.value);
}

/** OIDs of certificatePolicies. Throws SmimeError `malformed-der`, also for a repeated one. */
export function readPolicies(certificate: Certificate): ReadonlySet<string> {
  const node = extension(certificate, EXTENSION.certificatePolicies);
  const policies = new Set<string>();
  for (const information of node === undefined ? [] : children(node)) {
    const policy = readOid(enter(information).next(TAG.oid));
    if (policies.has(policy)) throw new SmimeError('malformed-der');
    policies.add(policy);
  }
  return policies;
}

/** Pairs of issuer domain and subject domain policy. Mapping from or to anyPolicy is refused (§6.1.4 (a)). */
function readMappings(certificate: Certificate): [string, string][] {
  const node = extension(certificate, EXTENSION.policyMappings);
  return (node === undefined ? [] : children(node)).map((pair) => {
    const cursor = enter(pair);
    const issuer = readOid(cursor.next(TAG.oid));
    const subject = readOid(cursor.next(TAG.oid));
    cursor.end();
    if (issuer === ANY_POLICY || subject === ANY_POLICY) throw new SmimeError('malformed-der');
    return [issuer, subject];
  });
}

function readPolicyConstraints(certificate: Certificate): { requireExplicit: number; inhibitMapping: number } {
  const node = extension(certificate, EXTENSION.policyConstraints);
  const cursor = node === undefined ? new DerCursor(Buffer.alloc(0)) : enter(node);
  const requireExplicit = cursor.optional(context(0));
  const inhibitMapping = cursor.optional(context(1));
  cursor.end();
  return { requireExplicit: skipCerts(requireExplicit), inhibitMapping: skipCerts(inhibitMapping) };
}

function readInhibitAny(certificate: Certificate): number {
  return skipCerts(extension(certificate, EXTENSION.inhibitAnyPolicy));
}

function skipCerts(node: DerNode | undefined): number {
  return node === undefined ? Number.POSITIVE_INFINITY : readSmallInteger(node);
}
