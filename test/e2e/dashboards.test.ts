// The dashboards: their files are what their code says, and every query in them is answered with data by a real Prometheus that a
// running gateway feeds.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { metrics } from '@sealpost/service';
import { connectSmtp, freePort, startSmtpSink, temporaryDirectory } from '@sealpost/testkit';
import { dashboardFiles } from '../../infra/grafana/src/dashboards.ts';
import { type HostPort, startInstallation, type TestInstallation } from './installation.ts';
import { until } from './operating.ts';
import { mail, makePartner } from './partner.ts';

const directory = join(import.meta.dirname, '../../infra/grafana/dashboards');
const alice = 'alice@alpha.test';

interface Query {
  readonly file: string;
  readonly panel: string;
  readonly expr: string;
}

interface PanelJson {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
  readonly panels?: readonly PanelJson[];
}

const queries: readonly Query[] = [...dashboardFiles].flatMap(([file, content]) => {
  const ofPanel = ({ title, targets = [], panels = [] }: PanelJson): Query[] => [
    ...targets.map(({ expr }) => ({ file, panel: title, expr })),
    ...panels.flatMap(ofPanel),
  ];
  return (JSON.parse(content) as { panels: readonly PanelJson[] }).panels.flatMap(ofPanel);
});

test('the dashboards are what their code says (npm run dashboards writes them)', () => {
  assert.deepEqual(readdirSync(directory).sort(), [...dashboardFiles.keys()].sort());
  for (const [file, content] of dashboardFiles)
    assert.equal(readFileSync(join(directory, file), 'utf8'), content, file);
});

test('they ask only for metrics of the table', () => {
  assert.ok(queries.length > 40);
  const asked = queries.flatMap(({ expr }) => [...expr.matchAll(/sealpost_\w+/g)].map(([name]) => name));
  const isKnown = (name: string): boolean =>
    [name, name.replace(/_(bucket|sum|count)$/, '')].some((each) => Object.hasOwn(metrics, each));
  assert.deepEqual(
    asked.filter((name) => !isKnown(name)),
    [],
  );
});

test('every query returns data from a running gateway', async (t) => {
  if (spawnSync('prometheus', ['--version']).error)
    return t.skip('prometheus (Debian package prometheus) is not installed');
  await using stack = new AsyncDisposableStack();
  const outside = stack.use(
    await startSmtpSink({
      reply({ stage, address }) {
        if (stage !== 'rcpt') return undefined;
        if (address?.startsWith('later')) return '451 4.7.1 Later';
        return address?.startsWith('never') ? '550 5.1.1 Unknown' : undefined;
      },
    }),
  );
  const partner = stack.adopt(makePartner('dashboards'), (made) => made.close());
  const bob = partner.person('bob@partner.test');
  const gateway = stack.adopt(
    await startInstallation({ external: outside.port, internal: outside.port }),
    async (started) => void (await started.stop()),
  );
  await gateway.cli('identity', 'add', alice, '--algorithm', 'p-256');
  await gateway.cli('trust', 'add', partner.ca);
  const prometheus = await startPrometheus(stack, gateway);

  const signed = partner.protect('Content-Type: text/plain\r\n\r\nHello\r\n', {
    signer: bob,
    headers: `From: ${bob.address}\r\nTo: ${alice}\r\n`,
  });
  const outbound = (to: string, message = mail({ From: alice, To: to }, 'Hello\n')) =>
    send(gateway.ready.outbound, alice, to, message);
  const traffic = () =>
    Promise.all([
      outbound('carol@nowhere.test'),
      outbound('later@nowhere.test'),
      outbound('never@nowhere.test'),
      // Refused by the ingress, and set aside by the worker.
      outbound('carol@nowhere.test', mail({ From: 'boss@bank.test' }, 'Hello\n')),
      outbound('carol@nowhere.test', mail({ From: alice, 'Content-Type': 'multipart/mixed' }, 'Hello\n')),
      send(gateway.ready.inbound, bob.address, alice, signed),
    ]);

  let silent: readonly Query[] = queries;
  await until('every query has an answer', async () => {
    await traffic();
    const answers = await Promise.all(silent.map(({ expr }) => ask(prometheus, expr)));
    silent = silent.filter((_, index) => answers[index] === 0);
    return silent.length === 0 || undefined;
  }).catch(() => undefined);
  assert.deepEqual(silent, []);
});

async function startPrometheus(stack: AsyncDisposableStack, { ready }: TestInstallation): Promise<string> {
  const { path } = stack.use(await temporaryDirectory());
  const targets = Object.values(ready.metrics).flat();
  const config = {
    global: { scrape_interval: '1s', scrape_timeout: '1s' },
    scrape_configs: [{ job_name: 'sealpost', static_configs: [{ targets: targets.map((url) => new URL(url).host) }] }],
  };
  // JSON is YAML.
  writeFileSync(join(path, 'prometheus.yml'), JSON.stringify(config));
  const port = await freePort();
  const flags = [
    `--config.file=${join(path, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(path, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];
  const process = spawn('prometheus', flags, { stdio: 'ignore' });
  const gone = new Promise((resolve) => process.once('exit', resolve));
  stack.defer(async () => {
    process.kill('SIGKILL');
    await gone;
  });
  const url = `http://127.0.0.1:${port}`;
  await until('prometheus is ready', async () => {
    const answer = await fetch(`${url}/-/ready`).catch(() => undefined);
    return answer?.ok || undefined;
  });
  return url;
}

/** How many series answer with a number. Throws with Prometheus' own words for a query that is none. */
async function ask(prometheus: string, expr: string): Promise<number> {
  const query = new URLSearchParams({ query: expr.replaceAll('$__rate_interval', '15s') });
  const response = await fetch(`${prometheus}/api/v1/query?${query}`);
  const { data, error } = (await response.json()) as {
    data?: { result: readonly { value: readonly [number, string] }[] };
    error?: string;
  };
  assert.ok(data, `${expr}: ${error}`);
  return data.result.filter(({ value }) => Number.isFinite(Number(value[1]))).length;
}

async function send(door: HostPort, from: string, to: string, message: Buffer): Promise<void> {
  await using client = await connectSmtp(door);
  await client.greet();
  await client.send({ from, to: [to], message });
}
