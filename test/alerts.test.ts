// The alert rules: their own tests by promtool, metrics that exist, and a page for each.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type EventName, events } from '@sealpost/core';
import { type MetricName, metrics } from '@sealpost/service';

const root = join(import.meta.dirname, '..');
const directory = join(root, 'infra/prometheus');
const rules = readFileSync(join(directory, 'alerts.yaml'), 'utf8');
const tests = readFileSync(join(directory, 'alerts.test.yaml'), 'utf8');
const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name = '']) => name);

/** The row of a series; a histogram is shown as three. */
function metricOf(series: string): MetricName | undefined {
  return [series, series.replace(/_(bucket|sum|count)$/, '')].find((name): name is MetricName =>
    Object.hasOwn(metrics, name),
  );
}

test('promtool: every alert fires when it should and is silent beside it', (t) => {
  const run = spawnSync('promtool', ['test', 'rules', 'alerts.test.yaml'], { cwd: directory, encoding: 'utf8' });
  if (run.error) return t.skip('promtool (Debian package prometheus) is not installed');
  assert.equal(run.status, 0, run.stdout + run.stderr);
  const untested = alerts.filter((name) => !new RegExp(`alertname: ${name}\\n +exp_alerts:\\n +- `).test(tests));
  assert.deepEqual(untested, [], 'each is seen firing');
  const unquiet = alerts.filter((name) => !tests.includes(`alertname: ${name}, exp_alerts: [] }`));
  assert.deepEqual(unquiet, [], 'each is seen silent');
});

test('rules ask for metrics, labels, stages and events that exist', () => {
  const series = [...rules.matchAll(/\b(sealpost_[a-z_]+)(?:\{([^}]*)\})?/g)];
  assert.ok(series.length >= alerts.length);
  for (const [, name = '', matchers = ''] of series) {
    const metric = metricOf(name);
    assert.ok(metric, `${name} is not in the table`);
    const labels: Readonly<Record<string, readonly string[] | 'configured' | 'code' | 'domain'>> =
      metrics[metric].labels;
    for (const [, label = '', values = ''] of matchers.matchAll(/(\w+)=~?"([^"]*)"/g)) {
      const known = labels[label];
      assert.ok(known, `${name} has no label ${label}`);
      if (typeof known === 'string') continue;
      for (const value of values.split('|')) assert.ok(known.includes(value), `${name} has no ${label} ${value}`);
    }
  }
});

test('alert events are alerts', () => {
  const names = (Object.keys(events) as EventName[]).filter((name) => name.startsWith('alert.'));
  for (const name of names) assert.ok(rules.includes(`event="${name}"`), name);
});

test('each alert has its page, and each page its alert', () => {
  const pages = readdirSync(join(root, 'docs/runbooks'))
    .map((file) => file.replace(/\.md$/, ''))
    .filter((name) => name !== 'README');
  assert.deepEqual(pages.sort(), alerts.toSorted());
  for (const name of alerts) {
    assert.ok(rules.includes(`runbook: docs/runbooks/${name}.md`), name);
    const page = readFileSync(join(root, 'docs/runbooks', `${name}.md`), 'utf8');
    for (const part of [`# ${name}\n`, '## Check\n', '## Remedy\n', '## Tried\n']) assert.ok(page.includes(part), name);
  }
});
