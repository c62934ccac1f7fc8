// Pages that are made from code say what the code says.

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { metrics } from '@sealpost/service';
import { deploymentCopies } from '../scripts/deployment-copies.ts';
import { renderErrors } from '../scripts/error-table.ts';
import { renderMetrics } from '../scripts/metric-table.ts';
import { withPermissions } from '../scripts/permission-table.ts';

const page = (name: string): string => readFileSync(join(import.meta.dirname, '../docs', name), 'utf8');

test('docs/errors.md is the error table (npm run docs writes it)', () => {
  assert.equal(page('errors.md'), renderErrors());
});

test('docs/metrics.md is the metric table (npm run docs writes it)', () => {
  assert.equal(page('metrics.md'), renderMetrics());
});

test('docs/key-management.md has the permissions, the acts and the first policy (npm run docs writes them)', () => {
  const text = page('key-management.md');
  for (const start of [/^\| operation \| ingress /m, /^\| act \| requested by /m, /^```json\n\{\n {2}"version": 1,/m]) {
    assert.match(text, start);
  }
  assert.equal(text, withPermissions(text));
});

test('every metric of the table is recorded somewhere', () => {
  const root = join(import.meta.dirname, '..');
  const code = globSync('{packages,apps}/*/src/**/*.ts', { cwd: root })
    .filter((file) => !file.endsWith('telemetry/metrics.ts'))
    .map((file) => readFileSync(join(root, file), 'utf8'))
    .join('\n');
  const idle = Object.keys(metrics).filter((name) => !code.includes(`'${name}'`));
  assert.deepEqual(idle, []);
});

test('files of infra/ that are made from others are what those say (npm run docs writes them)', () => {
  for (const [file, text] of Object.entries(deploymentCopies()))
    assert.equal(readFileSync(join(import.meta.dirname, '../infra', file), 'utf8'), text, file);
});

test('docs/threat-model.md names tests that exist', () => {
  const root = join(import.meta.dirname, '..');
  const files = globSync(['{packages,apps}/*/{src,test}/**/*.ts', 'test/**/*.ts'], { cwd: root });
  const known = new Set(files.map((file) => basename(file)));
  const named = [...page('threat-model.md').matchAll(/`([\w-]+\.(?:test|contract)\.ts)`/g)].map(
    ([, name = '']) => name,
  );
  assert.ok(named.length > 40);
  assert.deepEqual(
    [...new Set(named)].filter((name) => !known.has(name)),
    [],
  );
});
