// What kustomize renders is what Kubernetes, KEDA and the Prometheus operator take: values by their published schemas, and names of
// fields, about which those schemas say nothing, by the types made from them.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { overlays, type Resource, render, whyNot } from './rendered.ts';

const root = join(import.meta.dirname, '../..');
const models: Readonly<Record<string, string>> = {
  'keda.sh': '@kubernetes-models/keda',
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
};

/** Where the model of a resource is: `apps/v1` Deployment → kubernetes-models/apps/v1/Deployment. */
function modelOf({ apiVersion, kind }: Pick<Resource, 'apiVersion' | 'kind'>): string {
  return `${models[apiVersion.split('/')[0] ?? ''] ?? 'kubernetes-models'}/${apiVersion}/${kind}`;
}

async function validate(resource: Resource): Promise<void> {
  const module = await import(modelOf(resource));
  new module[resource.kind](resource).validate();
}

for (const overlay of overlays) {
  test(`${overlay}: every resource is valid by its schema`, { skip: whyNot }, async () => {
    const resources = render(overlay);
    assert.ok(resources.length >= 20);
    for (const resource of resources)
      await assert.doesNotReject(validate(resource), `${resource.kind} ${resource.metadata.name}`);
  });
}

test('fields that the schemas do not know are found', { skip: whyNot }, () => {
  const sound = overlays.flatMap((overlay) => render(overlay));
  assert.equal(typeErrors(sound), '');
  const [deployment] = sound.filter(({ kind }) => kind === 'Deployment');
  assert.ok(deployment);
  assert.match(typeErrors([{ ...deployment, spec: { ...deployment.spec, replica: 2 } }]), /replica\W+does not exist/);
});

test('a wrong value is found', { skip: whyNot }, async () => {
  const [deployment] = render('dev').filter(({ kind }) => kind === 'Deployment');
  assert.ok(deployment);
  await assert.rejects(validate({ ...deployment, spec: { ...deployment.spec, replicas: 'two' } }));
});

/** What the compiler says of the resources, written down as literals of their types. */
function typeErrors(resources: readonly Resource[]): string {
  const cache = join(root, 'node_modules/.cache');
  mkdirSync(cache, { recursive: true });
  const directory = mkdtempSync(join(cache, 'kubernetes-'));
  try {
    const lines = resources.flatMap((resource, at) => [
      `import type { I${resource.kind} as T${at} } from '${modelOf(resource)}';`,
      `export const r${at} = ${JSON.stringify(resource)} satisfies T${at};`,
    ]);
    writeFileSync(join(directory, 'resources.ts'), lines.join('\n'));
    const options = [
      '--noEmit',
      '--strict',
      '--skipLibCheck',
      '--module',
      'nodenext',
      '--target',
      'esnext',
      '--ignoreConfig',
    ];
    const run = spawnSync(join(root, 'node_modules/.bin/tsc'), [...options, join(directory, 'resources.ts')], {
      cwd: directory,
      encoding: 'utf8',
    });
    return run.stdout + run.stderr;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
