// The example for the OpenTelemetry Collector, which cannot run here: it hangs together, and keeps traces by attributes and outcomes
// that our processes export.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Outcome } from '@sealpost/core';
import { attributeNames } from '@sealpost/service';
import { parse } from 'yaml';

interface Policy {
  readonly name: string;
  readonly type: string;
  readonly [settings: string]: unknown;
}

const collector = parse(readFileSync(join(import.meta.dirname, '../../infra/otel/collector.yaml'), 'utf8'));
const policies: readonly Policy[] = collector.processors.tail_sampling.policies;

test('its pipeline is made of what it configures, and decides before it sends', () => {
  const { receivers, processors, exporters } = collector.service.pipelines.traces;
  assert.deepEqual(Object.keys(collector.receivers), receivers);
  assert.deepEqual(Object.keys(collector.processors), processors);
  assert.deepEqual(Object.keys(collector.exporters), exporters);
  assert.deepEqual(processors, ['memory_limiter', 'tail_sampling', 'batch']);
});

test('each policy has a name of its own and the settings of its type', () => {
  assert.equal(new Set(policies.map(({ name }) => name)).size, policies.length);
  for (const { name, type, ...settings } of policies) assert.deepEqual(Object.keys(settings), [type], name);
  assert.ok(policies.some(({ type }) => type === 'status_code'));
});

test('its attributes and outcomes are ours', () => {
  const outcomes: Readonly<Record<Outcome<never>['kind'], true>> = { done: true, later: true, quarantine: true };
  const ours = Object.values(attributeNames);
  for (const { type, [type]: settings } of policies) {
    const { key, values = [] } = settings as { key?: string; values?: readonly string[] };
    if (key !== undefined) assert.ok(ours.includes(key), key);
    if (key === attributeNames.outcome) for (const value of values) assert.ok(Object.hasOwn(outcomes, value), value);
  }
});
