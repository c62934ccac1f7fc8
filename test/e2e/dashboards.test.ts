// The dashboards: their files are what their code says, and every query in them is answered with data by a real Prometheus that a
// running gateway feeds.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { metrics } from '@sealpost/service';
import { connectSmtp, hasPrometheus, type Prometheus, startPrometheus, startSmtpSink } from '@sealpost/testkit';
import { dashboardFiles } from '../../infra/grafana/src/dashboards.ts';
import { type HostPort, startInstallation } from './installation.ts';
import { reconfigure, until } from './operating.ts';
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
  if (!hasPrometheus()) return t.skip('prometheus (Debian package prometheus) is not installed');
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
  await reconfigure(gateway, (config) => ({ ...config, egress: { ...config.egress, waitingDomains: 5 } }), 'egress');
  const targets = Object.values(gateway.ready.metrics).flatMap((urls) => urls.map((url) => new URL(url).host));
  const prometheus = stack.use(await startPrometheus(targets));

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
    const answers = await Promise.all(silent.map(({ expr }) => countNumbers(prometheus, expr)));
    silent = silent.filter((_, index) => answers[index] === 0);
    return silent.length === 0 || undefined;
  }).catch(() => undefined);
  assert.deepEqual(silent, []);
});

/** How many series answer with a number. */
async function countNumbers(prometheus: Prometheus, expr: string): Promise<number> {
  const values = await prometheus.ask(expr.replaceAll('$__rate_interval', '15s'));
  return values.filter(Number.isFinite).length;
}

async function send(door: HostPort, from: string, to: string, message: Buffer): Promise<void> {
  await using client = await connectSmtp(door);
  await client.greet();
  await client.send({ from, to: [to], message });
}
