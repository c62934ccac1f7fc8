// The overlays of infra/kubernetes as kustomize renders them, for tests to look into.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';

/** As far as the tests look: everything else is the schema's affair. */
export interface Resource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec: Spec;
}

export interface Spec {
  readonly template?: { readonly metadata: { readonly labels: Labels }; readonly spec: PodSpec };
  readonly [key: string]: unknown;
}

export type Labels = Readonly<Record<string, string>>;

export interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly Readonly<Record<string, unknown>>[];
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly automountServiceAccountToken?: boolean;
  readonly [key: string]: unknown;
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly [key: string]: unknown;
}

export const overlays = ['dev', 'production', 'production-init'] as const;
export type Overlay = (typeof overlays)[number];

/** Why nothing can be rendered here, else false. Components and labels came with kustomize 4 and 5. */
export const whyNot = kustomizeMajor() >= 5 ? false : 'there is no kubectl with kustomize 5 or newer';

function kustomizeMajor(): number {
  const { stdout } = spawnSync('kubectl', ['version', '--client', '--output=json'], { encoding: 'utf8' });
  return Number(/"kustomizeVersion": *"v(\d+)/.exec(stdout ?? '')?.[1] ?? 0);
}

const rendered = new Map<Overlay, readonly Resource[]>();

/** What `kubectl apply -k` would send. */
export function render(overlay: Overlay): readonly Resource[] {
  const found = rendered.get(overlay) ?? kustomize(overlay);
  rendered.set(overlay, found);
  return found;
}

function kustomize(overlay: Overlay): readonly Resource[] {
  const directory = join(import.meta.dirname, '../../infra/kubernetes/overlays', overlay);
  const run = spawnSync('kubectl', ['kustomize', directory], { encoding: 'utf8', maxBuffer: 16 * 1024 * 1024 });
  if (run.status !== 0) throw new Error(run.stderr);
  return parseAllDocuments(run.stdout).map((document) => document.toJS());
}

/** Everything that has pods, as name and pod. */
export function podsOf(resources: readonly Resource[]): readonly { readonly name: string; readonly pod: PodSpec }[] {
  return resources.flatMap(({ kind, metadata: { name }, spec }) => {
    if (kind === 'Pod') return [{ name, pod: spec as unknown as PodSpec }];
    return spec?.template ? [{ name, pod: spec.template.spec }] : [];
  });
}
