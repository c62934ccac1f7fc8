// What infra/compose.yaml mounts: the configuration is sound with the example's environment, and Prometheus finds every process.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig } from '@sealpost/service';
import { parse } from 'yaml';
import { nodeFlags } from '../../apps/cli/src/up/node-flags.ts';

const infra = join(import.meta.dirname, '../../infra');
const read = (name: string): string => readFileSync(join(infra, name), 'utf8');
const compose = parse(read('compose.yaml'), { merge: true });
const example = Object.fromEntries(
  [...read('env.example').matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value]),
);

/** `${NAME:-fallback}` and `${NAME:?text}` as compose fills them in. */
function filled(text: string): string {
  return text.replace(/\$\{([A-Z_]+)(?::([-?])([^}]*))?\}/g, (_, name: string, kind?: string, fallback = '') => {
    const value = example[name];
    assert.ok(value || kind === '-', `${name} is not in env.example`);
    return value || fallback;
  });
}

const environment: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries<string>(compose['x-settings']).map(([name, value]) => [name, filled(value)]),
);

test('the configuration is sound with the settings of env.example', () => {
  const config = loadConfig(join(infra, 'compose/sealpost.yaml'), environment);
  assert.equal(config.installation, example.SEALPOST_HOSTNAME);
  assert.equal(config.redis.acceptRisks.length, 0);
  assert.equal(config.ingress.outbound.startTls, 'required');
});

test('compose takes the file with every profile', (t) => {
  const forms = [['docker-compose'], ['docker', 'compose']] as const;
  const asked = [...['setup', 'tools', 'observability'].flatMap((name) => ['--profile', name]), 'config', '--quiet'];
  const named = ['-f', join(infra, 'compose.yaml'), '--env-file', join(infra, 'env.example'), ...asked];
  const there = forms.filter(
    ([name, ...words]) => spawnSync(name, [...words, 'version'], { stdio: 'ignore' }).status === 0,
  );
  if (there.length === 0) return t.skip('neither docker-compose nor docker compose is installed');
  for (const [name, ...words] of there) {
    const { status, stderr } = spawnSync(name, [...words, ...named], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  }
});

test('Grafana is provisioned with what is there: dashboards where they are mounted, sources that run', () => {
  const { services } = compose;
  const [{ options }] = parse(read('grafana/provisioning/dashboards/sealpost.yaml')).providers;
  assert.ok(services.grafana.volumes.includes(`./grafana/dashboards:${options.path}:ro`));
  assert.ok(services.grafana.volumes.includes('./grafana/provisioning:/etc/grafana/provisioning:ro'));
  for (const { name, url } of parse(read('grafana/provisioning/datasources/sealpost.yaml')).datasources) {
    const { hostname, port } = new URL(url);
    const source = services[hostname];
    assert.ok(source, `${name}: ${url}`);
    assert.ok(
      source.ports.some((each: string) => each.endsWith(`:${port}`)),
      url,
    );
    assert.ok(
      source.networks.some((network: string) => services.grafana.networks.includes(network)),
      name,
    );
  }
  const traces = new URL(environment.SEALPOST_OTLP_URL ?? '');
  assert.ok(services[traces.hostname].networks.includes('metrics'));
});

test('every process gets the same settings, a read-only root, no capability, and time to drain', () => {
  for (const name of ['ingress', 'crypto-worker', 'egress', 'key-service', 'init', 'cli', 'doctor']) {
    const service = compose.services[name];
    for (const setting of Object.keys(environment)) assert.ok(setting in service.environment, `${name}: ${setting}`);
    assert.equal(service.read_only, true, name);
    assert.deepEqual(service.cap_drop, ['ALL'], name);
    assert.equal(service.stop_grace_period, '20s', name);
  }
});

test('the images start Node with the flags that `sealpost up` gives it', () => {
  for (const role of ['ingress', 'crypto-worker', 'egress', 'key-service']) {
    const [, entry = '[]'] =
      new RegExp(`^FROM runtime AS ${role}\n(?:.+\n)*?ENTRYPOINT (.+)$`, 'm').exec(read('Dockerfile')) ?? [];
    assert.deepEqual(JSON.parse(entry), ['node', ...nodeFlags(role), `apps/${role}/src/main.ts`]);
  }
});

test('only ingress and egress have a way out', () => {
  const open = Object.keys(compose.networks).filter((name) => !compose.networks[name].internal);
  const core = Object.entries<{ networks?: string[]; profiles?: string[] }>(compose.services).filter(
    ([, { profiles = [] }]) => !profiles.includes('observability'),
  );
  const wayOut = core.filter(([, { networks = [] }]) => networks.some((name) => open.includes(name)));
  assert.deepEqual(wayOut.map(([name]) => name).sort(), ['egress', 'ingress']);
});

test('Prometheus’ configuration is valid and asks each process at its port', (t) => {
  const config = loadConfig(join(infra, 'compose/sealpost.yaml'), environment);
  const asked = parse(read('prometheus/prometheus.yaml')).scrape_configs.flatMap(
    ({ dns_sd_configs }: { dns_sd_configs: { names: string[]; port: number }[] }) =>
      dns_sd_configs.map(({ names, port }) => [names[0], port]),
  );
  const { ingress, worker, egress, keyService } = config.http;
  assert.deepEqual(Object.fromEntries(asked), {
    ingress: ingress.port,
    'crypto-worker': worker.port,
    egress: egress.port,
    'key-service': keyService.port,
  });
  const run = spawnSync('promtool', ['check', 'config', join(infra, 'prometheus/prometheus.yaml')], {
    encoding: 'utf8',
  });
  if (run.error) return t.skip('promtool (Debian package prometheus) is not installed');
  assert.equal(run.status, 0, run.stdout + run.stderr);
});
