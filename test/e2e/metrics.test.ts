// What the running processes show on /metrics, held against the table that docs/metrics.md is made from.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { type ErrorCode, errors, type ServiceRole } from '@sealpost/core';
import { type MetricName, metrics } from '@sealpost/service';
import { connectSmtp, type SmtpSink, startSmtpSink } from '@sealpost/testkit';
import { startInstallation, type TestInstallation } from './installation.ts';
import { until } from './operating.ts';
import { mail } from './partner.ts';

interface Series {
  readonly role: ServiceRole;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The one tenant of `sealpost up --dir`: its domain, without dots. */
const tenant = 'alpha-test';

let gateway: TestInstallation;
let outside: SmtpSink;
let texts: Readonly<Record<ServiceRole, string>>;
let shown: readonly Series[];

before(async () => {
  outside = await startSmtpSink();
  gateway = await startInstallation({ external: outside.port });
  await gateway.cli('identity', 'add', 'alice@alpha.test', '--algorithm', 'p-256');
  await send('alice@alpha.test');
  await send('stranger@elsewhere.test');
  await outside.waitFor(1, 30_000);
  await until('the egress counts the delivery', async () => {
    texts = await scrape();
    return texts.egress.includes('sealpost_message_seconds_count') || undefined;
  });
  shown = (Object.keys(texts) as ServiceRole[]).flatMap((role) => seriesOf(role, texts[role]));
});

after(async () => {
  await gateway?.stop();
  await outside?.close();
});

async function send(from: string): Promise<void> {
  const client = await connectSmtp(gateway.ready.outbound);
  await client.greet();
  if (from.startsWith('alice')) {
    await client.startTls();
    await client.command('EHLO alpha.test');
  }
  const message = mail({ From: from, To: 'carol@nowhere.test', Subject: 'x' }, 'Hello\n');
  await client.send({ from, to: ['carol@nowhere.test'], message });
}

async function scrape(): Promise<Readonly<Record<ServiceRole, string>>> {
  const { ingress, worker, egress, keyService } = gateway.ready.metrics;
  const text = async (urls: readonly string[]) => (await fetch(urls[0] ?? '')).text();
  return {
    ingress: await text(ingress),
    'crypto-worker': await text(worker),
    egress: await text(egress),
    'key-service': await text(keyService),
  };
}

function seriesOf(role: ServiceRole, text: string): Series[] {
  return text.split('\n').flatMap((line) => {
    const [, name, labels = '', value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined || name === 'target_info') return [];
    const pairs = [...labels.matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, label = '', text = '']) => [label, text]);
    return [{ role, name, labels: Object.fromEntries(pairs), value: Number(value) }];
  });
}

/** The row of a series: a histogram is shown as three. */
function metricOf(name: string): MetricName | undefined {
  const base = name.replace(/_(bucket|sum|count)$/, '');
  return [name, base].find((each): each is MetricName => Object.hasOwn(metrics, each));
}

test('every series is of the table, shown by a process and with labels that the table gives it', () => {
  assert.ok(shown.length > 200);
  const wrong = shown.filter(({ role, name, labels: { le: _, ...labels } }) => {
    const metric = metricOf(name);
    if (metric === undefined) return true;
    const by: readonly ServiceRole[] = metrics[metric].by;
    const table: Readonly<Record<string, readonly string[] | 'configured' | 'code' | 'domain'>> =
      metrics[metric].labels;
    const isLabel = ([label, value]: readonly [string, string]): boolean => {
      const values = table[label];
      if (values === 'configured') return [tenant, 'installation', 'none', 'internal', 'external'].includes(value);
      if (values === 'domain') return false;
      return values === 'code' ? Object.hasOwn(errors, value) : (values?.includes(value) ?? false);
    };
    return (
      !by.includes(role) ||
      Object.keys(labels).length !== Object.keys(table).length ||
      !Object.entries(labels).every(isLabel)
    );
  });
  assert.deepEqual(wrong, []);
});

/** Of what this installation does not have: backups, collectors that the audit log goes to, domains in metrics. */
const unconfigured: readonly MetricName[] = [
  'sealpost_backup_age_seconds',
  'sealpost_backup_drill_age_seconds',
  'sealpost_audit_export_behind',
  'sealpost_domain_oldest_seconds',
  'sealpost_domain_waiting_recipients',
];

test('every gauge of the table is shown by each of its processes from the start', () => {
  const gauges = (Object.keys(metrics) as MetricName[]).filter((name) => metrics[name].kind === 'gauge');
  const missing = gauges.flatMap((name) =>
    metrics[name].by.some((by) => !shown.some(({ role, name: each }) => role === by && each === name)) ? [name] : [],
  );
  assert.deepEqual(missing.sort(), unconfigured.toSorted());
});

test('one message and one refusal are counted where they were', () => {
  const direction = 'outbound';
  const code: ErrorCode = 'from-not-allowed';
  const expected = [
    ['sealpost_messages_accepted_total', { direction, tenant }],
    ['sealpost_messages_refused_total', { direction, code }],
    ['sealpost_accept_seconds_count', { direction }],
    ['sealpost_messages_processed_total', { direction, tenant, action: 'protect' }],
    ['sealpost_queue_wait_seconds_count', { stage: 'crypto' }],
    ['sealpost_queue_wait_seconds_count', { stage: 'delivery' }],
    ['sealpost_job_seconds_count', { stage: 'crypto' }],
    ['sealpost_message_seconds_count', { direction }],
    ['sealpost_tls_handshakes_total', { door: direction, result: 'TLSv1.3' }],
    ['sealpost_route_sessions_total', { route: 'external', tls: 'plain' }],
    ['sealpost_key_calls_total', { role: 'crypto-worker', operation: 'lease', outcome: 'ok' }],
    ['sealpost_key_store_open', {}],
    ['sealpost_redis_persisting', {}],
  ] as const;
  for (const [name, labels] of expected) {
    const found = shown.find((each) => each.name === name && sameLabels(each.labels, labels));
    assert.equal(found?.value, 1, `${name} ${JSON.stringify(labels)}`);
  }
  const value = (name: string, labels: object) =>
    shown.find((each) => each.name === name && sameLabels(each.labels, labels))?.value;
  for (const [name, labels] of [
    ['sealpost_tls_handshakes_total', { door: 'key-service', result: 'TLSv1.3' }],
    ['sealpost_redis_commands_total', {}],
    ['sealpost_redis_cpu_seconds_total', {}],
    ['sealpost_redis_network_bytes_total', { direction: 'in' }],
    ['sealpost_redis_memory_bytes', { which: 'used' }],
  ] as const)
    assert.ok(Number(value(name, labels)) > 0, name);
  assert.equal(value('sealpost_audit_failing', {}), 0);
  assert.equal(value('sealpost_events_total', { event: 'alert.authenticity' }), 0, 'warnings begin at 0');
  assert.equal(value('sealpost_certificates', { tenant, holder: 'own', left: 'ended' }), 0);
});

function sameLabels(a: Readonly<Record<string, string>>, b: object): boolean {
  const sorted = (labels: object) => JSON.stringify(Object.entries(labels).sort());
  return sorted(a) === sorted(b);
}

test('promtool finds nothing to say about what any process shows', (t) => {
  if (spawnSync('promtool', ['--version']).error)
    return t.skip('promtool (Debian package prometheus) is not installed');
  for (const input of Object.values(texts)) {
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' });
    assert.deepEqual([status, stdout, stderr], [0, '', '']);
  }
});
