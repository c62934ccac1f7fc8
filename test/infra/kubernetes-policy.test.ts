// What must be true of the rendered overlays whoever edits them: the restricted profile, secrets by reference and each to its owner only,
// client addresses kept, drains, disruption budgets, scaling with a fallback.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { metrics, parseConfig } from '@sealpost/service';
import { stringify } from 'yaml';
import { type Overlay, overlays, podsOf, type Resource, render, whyNot } from './rendered.ts';

/** The longest that a process takes to end (packages/service/src/drain.ts), in seconds. */
const drainSeconds = 9;
const roles = ['ingress', 'crypto-worker', 'egress', 'key-service'] as const;
const scaled = ['ingress', 'crypto-worker', 'egress'] as const;

const ofKind = (overlay: Overlay, kind: string): readonly Resource[] =>
  render(overlay).filter((each) => each.kind === kind);

/** The value at a path of keys in what the schema has already judged. */
function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((inner, key) => (inner as Record<string | number, unknown> | undefined)?.[key], value);
}

function environmentOf(overlay: Overlay): Readonly<Record<string, string>> {
  const settings = ofKind(overlay, 'ConfigMap').find(({ metadata }) => metadata.name.startsWith('sealpost-settings'));
  return at(settings, 'data') as Readonly<Record<string, string>>;
}

function configOf(overlay: Overlay) {
  const map = ofKind(overlay, 'ConfigMap').find(({ metadata }) => metadata.name.startsWith('sealpost-config'));
  return parseConfig(String(at(map, 'data', 'sealpost.yaml')), overlay, environmentOf(overlay));
}

for (const overlay of overlays) {
  test(`${overlay}: every pod keeps to the restricted profile, on a read-only root`, { skip: whyNot }, () => {
    const pods = podsOf(render(overlay));
    assert.ok(pods.length >= 5);
    for (const { name, pod } of pods) {
      const { runAsNonRoot, runAsUser, seccompProfile } = pod.securityContext ?? {};
      assert.deepEqual([runAsNonRoot, runAsUser, seccompProfile], [true, 1000, { type: 'RuntimeDefault' }], name);
      assert.equal(pod.automountServiceAccountToken, false, name);
      for (const key of ['hostNetwork', 'hostPID', 'hostIPC', 'initContainers'])
        assert.ok(!(key in pod), `${name} ${key}`);
      assert.equal(pod.containers.length, 1, name);
      for (const { securityContext, resources, ports } of pod.containers) {
        assert.deepEqual(
          securityContext,
          { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
          name,
        );
        assert.ok(
          at(resources, 'requests', 'cpu') && at(resources, 'requests', 'memory') && at(resources, 'limits', 'memory'),
        );
        assert.ok(!JSON.stringify(ports ?? []).includes('hostPort'), name);
      }
      const kinds = (pod.volumes ?? []).map((volume) => Object.keys(volume).find((key) => key !== 'name') ?? '');
      const allowed = ['configMap', 'secret', 'projected', 'persistentVolumeClaim', 'emptyDir'];
      assert.deepEqual(
        kinds.filter((kind) => !allowed.includes(kind)),
        [],
        name,
      );
      for (const volume of pod.volumes ?? [])
        if ('emptyDir' in volume) assert.equal(at(volume, 'emptyDir', 'medium'), 'Memory');
    }
    const [namespace] = ofKind(overlay, 'Namespace');
    assert.equal(at(namespace, 'metadata', 'labels', 'pod-security.kubernetes.io/enforce'), 'restricted');
    const elsewhere = render(overlay).filter(
      ({ kind, metadata }) => kind !== 'Namespace' && metadata.namespace !== 'sealpost',
    );
    assert.deepEqual(elsewhere, []);
  });

  test(`${overlay}: secrets are files by reference, each for its owner`, { skip: whyNot }, () => {
    assert.deepEqual(ofKind(overlay, 'Secret'), []);
    assert.doesNotMatch(JSON.stringify(ofKind(overlay, 'ConfigMap')), /PRIVATE KEY|BEGIN CERT/);
    for (const { name, pod } of podsOf(render(overlay))) {
      for (const container of pod.containers)
        assert.doesNotMatch(JSON.stringify(container), /secretRef|secretKeyRef/, name);
      const named = [
        ...JSON.stringify(pod.volumes).matchAll(/sealpost-(credentials-[a-z-]+|shared|redis|listener)\b/g),
      ];
      const secrets = new Set(named.map(([, secret]) => secret));
      const own = roles.some((role) => role === name)
        ? [`credentials-${name}`, 'shared']
        : name === 'init'
          ? ['shared']
          : [];
      const queue = name === 'redis' || scaled.some((stage) => stage === name) ? ['redis'] : [];
      assert.deepEqual(
        [...secrets].sort(),
        [...own, ...queue, ...(name === 'ingress' ? ['listener'] : [])].sort(),
        name,
      );
    }
  });

  test(`${overlay}: images have a version, and it is not the latest`, { skip: whyNot }, () => {
    for (const { name, pod } of podsOf(render(overlay)))
      for (const { image } of pod.containers) assert.match(image, /:(?!latest)[\w.-]+$|@sha256:/, name);
  });

  test(`${overlay}: processes are asked for /ready and /live, and have time to drain`, { skip: whyNot }, () => {
    const { ingress, worker, egress, keyService } = configOf(overlay).http;
    const ports: Readonly<Record<string, number>> = {
      ingress: ingress.port,
      'crypto-worker': worker.port,
      egress: egress.port,
      'key-service': keyService.port,
    };
    for (const { name, pod } of podsOf(render(overlay)).filter((each) => each.name in ports)) {
      const [container] = pod.containers;
      assert.deepEqual(at(container, 'readinessProbe', 'httpGet'), { path: '/ready', port: 'http' }, name);
      assert.deepEqual(at(container, 'livenessProbe', 'httpGet'), { path: '/live', port: 'http' }, name);
      const http = (at(container, 'ports') as { name: string; containerPort: number }[]).find(
        (port) => port.name === 'http',
      );
      assert.equal(http?.containerPort, ports[name], name);
      const [sleep, seconds] = at(container, 'lifecycle', 'preStop', 'exec', 'command') as [string, string];
      assert.equal(sleep, 'sleep');
      assert.ok(Number(pod.terminationGracePeriodSeconds) > Number(seconds) + drainSeconds, name);
    }
  });

  test(`${overlay}: SMTP keeps the client’s address, and nothing else is reached from outside`, {
    skip: whyNot,
  }, () => {
    for (const { metadata, spec } of ofKind(overlay, 'Service')) {
      if (/^smtp-/.test(metadata.name)) assert.equal(spec.externalTrafficPolicy, 'Local', metadata.name);
      else assert.equal(spec.clusterIP, 'None', metadata.name);
    }
    assert.deepEqual(ofKind(overlay, 'Ingress'), []);
  });

  test(`${overlay}: mail, keys and audit are on volumes; mail is on disk before it is acknowledged`, {
    skip: whyNot,
  }, () => {
    const redis = ofKind(overlay, 'StatefulSet').find(({ metadata }) => metadata.name === 'redis');
    assert.equal(at(redis, 'spec', 'volumeClaimTemplates', 0, 'metadata', 'name'), 'redis-data');
    assert.deepEqual(
      ofKind(overlay, 'PersistentVolumeClaim')
        .map(({ metadata }) => metadata.name)
        .sort(),
      ['audit-log', 'backups', 'key-store'],
    );
    const conf = String(
      at(
        ofKind(overlay, 'ConfigMap').find(({ metadata }) => metadata.name.startsWith('redis')),
        'data',
        'redis.conf',
      ),
    );
    for (const line of ['appendonly yes', 'appendfsync always', 'maxmemory-policy noeviction'])
      assert.ok(conf.includes(`\n${line}\n`));
    const { blobs, redis: client } = configOf(overlay);
    assert.deepEqual([blobs.store, client.acceptRisks], ['redis', []]);
  });
}

test('production: two or more of each stage, spread, with a budget', { skip: whyNot }, () => {
  for (const name of scaled) {
    const named = (kind: string) => ofKind('production', kind).find(({ metadata }) => metadata.name === name)?.spec;
    const least = named('HorizontalPodAutoscaler')?.minReplicas ?? named('ScaledObject')?.minReplicaCount;
    const replicas = named('Deployment')?.replicas;
    assert.equal(least === undefined, replicas !== undefined, `${name}: either a count or something that decides it`);
    assert.ok(Number(least ?? replicas) >= 2, name);
    assert.ok(named('PodDisruptionBudget')?.maxUnavailable, name);
    const spread = at(named('Deployment'), 'template', 'spec', 'topologySpreadConstraints') as {
      topologyKey: string;
    }[];
    assert.deepEqual(
      spread.map(({ topologyKey }) => topologyKey),
      ['topology.kubernetes.io/zone', 'kubernetes.io/hostname'],
    );
  }
});

test('production: the key store waits for an operator; a file opens it in dev only', { skip: whyNot }, () => {
  assert.equal(configOf('production').keyServer.slot.kind, 'passphrase');
  assert.equal(configOf('dev').keyServer.slot.kind, 'file');
});

test('production: mail servers are the same addresses for balancer, policy and gateway', { skip: whyNot }, () => {
  const service = ofKind('production', 'Service').find(({ metadata }) => metadata.name === 'smtp-outbound');
  const policy = ofKind('production', 'NetworkPolicy').find(({ metadata }) => metadata.name === 'ingress');
  const networks = configOf('production').ingress.outbound.sources.flatMap((source) => source.networks);
  assert.deepEqual(service?.spec.loadBalancerSourceRanges, networks);
  const blocks = at(policy, 'spec', 'ingress', 0, 'from') as { ipBlock: { cidr: string } }[];
  assert.deepEqual(
    blocks.map(({ ipBlock }) => ipBlock.cidr),
    networks,
  );
});

test('production: every process is scraped', { skip: whyNot }, () => {
  const monitors = ofKind('production', 'PodMonitor').map(({ spec }) =>
    at(spec, 'selector', 'matchLabels', 'app.kubernetes.io/name'),
  );
  assert.deepEqual(monitors.toSorted(), roles.toSorted());
});

test('production: workers are scaled by queries that Prometheus understands, with a fallback', {
  skip: whyNot,
}, (t) => {
  const [scaler] = ofKind('production', 'ScaledObject');
  assert.ok(Number(at(scaler, 'spec', 'fallback', 'replicas')) >= 2);
  const triggers = at(scaler, 'spec', 'triggers') as {
    type: string;
    metricType: string;
    metadata: { query: string };
  }[];
  const queries = triggers.map(({ type, metricType, metadata }) => {
    // KEDA's fallback works with averages only.
    assert.deepEqual([type, metricType], ['prometheus', 'AverageValue']);
    return metadata.query;
  });
  assert.ok(queries.some((query) => query.includes('sealpost_queue_oldest_seconds{stage="crypto"}')));
  for (const [name] of queries.join(' ').matchAll(/\bsealpost_[a-z_]+/g)) assert.ok(Object.hasOwn(metrics, name), name);

  const directory = mkdtempSync(join(tmpdir(), 'sealpost-rules-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const rules = queries.map((expr, index) => ({ record: `scaling:query${index}`, expr }));
  writeFileSync(join(directory, 'rules.yaml'), stringify({ groups: [{ name: 'scaling', rules }] }));
  const run = spawnSync('promtool', ['check', 'rules', join(directory, 'rules.yaml')], { encoding: 'utf8' });
  if (run.error) return t.skip('promtool (Debian package prometheus) is not installed');
  assert.equal(run.status, 0, run.stdout + run.stderr);
});
