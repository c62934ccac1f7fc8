// The network policies let through what infra/kubernetes/flows.md lists and nothing else, in each overlay.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Labels, overlays, podsOf, type Resource, render, whyNot } from './rendered.ts';

const nameLabel = 'app.kubernetes.io/name';

interface Selector {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly { readonly key: string; readonly operator: string; readonly values: string[] }[];
}

interface Peer {
  readonly podSelector?: Selector;
  readonly namespaceSelector?: Selector;
  readonly ipBlock?: { readonly cidr: string };
}

interface Rule {
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
  readonly ports?: readonly { readonly port: number; readonly protocol: string }[];
}

interface Policy {
  readonly podSelector: Selector;
  readonly policyTypes: readonly string[];
  readonly ingress?: readonly Rule[];
  readonly egress?: readonly Rule[];
}

/** The rows of the table: `from → to port/PROTOCOL`. */
const listed = [
  ...readFileSync(join(import.meta.dirname, '../../infra/kubernetes/flows.md'), 'utf8').matchAll(
    /^\| ([a-z-]+) \| ([a-z-]+) \| (\d+\/(?:TCP|UDP)) \|/gm,
  ),
].map(([, from, to, port]) => `${from} → ${to} ${port}`);

/** Names of our pods that a selector means. */
function namesOf(selector: Selector): readonly string[] {
  const { matchLabels, matchExpressions } = selector;
  assert.deepEqual(
    Object.keys(matchLabels ?? {}).filter((key) => key !== nameLabel),
    [],
  );
  const byLabel = matchLabels?.[nameLabel];
  const byExpression = (matchExpressions ?? []).flatMap(({ key, operator, values }) => {
    assert.deepEqual([key, operator], [nameLabel, 'In']);
    return values;
  });
  return byLabel === undefined ? byExpression : [byLabel];
}

/** Who a peer is, in the words of the table. Several selectors in one peer are one condition, not a choice. */
function peerNames(peer: Peer): readonly string[] {
  if (peer.ipBlock) {
    assert.deepEqual(Object.keys(peer), ['ipBlock']);
    return [['0.0.0.0/0', '::/0'].includes(peer.ipBlock.cidr) ? 'world' : 'mail-servers'];
  }
  if (peer.namespaceSelector) {
    const namespace = peer.namespaceSelector.matchLabels?.['kubernetes.io/metadata.name'];
    if (namespace === 'monitoring' && !peer.podSelector) return ['monitoring'];
    assert.deepEqual([namespace, peer.podSelector?.matchLabels], ['kube-system', { 'k8s-app': 'kube-dns' }]);
    return ['dns'];
  }
  assert.ok(peer.podSelector);
  const names = namesOf(peer.podSelector);
  assert.ok(names.length > 0, 'an empty selector means everybody');
  return names;
}

/** Flows that policies of one side let through. */
function flows(policies: readonly Policy[], side: 'ingress' | 'egress'): ReadonlySet<string> {
  const found = policies.flatMap((policy) =>
    (policy[side] ?? []).flatMap((rule) => {
      const peers = side === 'ingress' ? rule.from : rule.to;
      assert.ok(peers && rule.ports, 'a rule without peers or ports lets everybody through');
      return namesOf(policy.podSelector).flatMap((own) =>
        peers.flatMap(peerNames).flatMap((other) =>
          (rule.ports ?? []).map(({ port, protocol }) => {
            const [from, to] = side === 'ingress' ? [other, own] : [own, other];
            return `${from} → ${to} ${port}/${protocol}`;
          }),
        ),
      );
    }),
  );
  return new Set(found);
}

for (const overlay of overlays) {
  test(`${overlay}: the policies are the table`, { skip: whyNot }, () => {
    const resources = render(overlay);
    const policies = resources
      .filter(({ kind }) => kind === 'NetworkPolicy')
      .map(({ spec }) => spec as unknown as Policy);
    const own = podsOf(resources).map(({ name }) => name);
    const isOwn = (flow: string, side: 0 | 1): boolean => own.includes(flow.split(' ')[side * 2] ?? '');

    const into = flows(policies, 'ingress');
    const outOf = flows(policies, 'egress');
    assert.deepEqual([...into].sort(), listed.filter((flow) => isOwn(flow, 1)).sort());
    assert.deepEqual([...outOf].sort(), listed.filter((flow) => isOwn(flow, 0)).sort());
    assert.deepEqual([...into.union(outOf)].sort(), [...listed].sort());
  });

  test(`${overlay}: what no policy names may do nothing`, { skip: whyNot }, () => {
    const everybody = render(overlay).filter(
      ({ kind, spec }: Resource) => kind === 'NetworkPolicy' && Object.keys(spec.podSelector as object).length === 0,
    );
    assert.deepEqual(
      everybody.map(({ spec }) => spec),
      [{ podSelector: {}, policyTypes: ['Ingress', 'Egress'] }],
    );
  });
}
