// What kustomize needs below its own directory and compose or Prometheus beside theirs: written from one source.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const infra = join(import.meta.dirname, '../infra');
const read = (name: string): string => readFileSync(join(infra, name), 'utf8');

/** File below infra/ → its text. */
export function deploymentCopies(): Readonly<Record<string, string>> {
  return {
    'kubernetes/base/sealpost.yaml': copyOf('compose/sealpost.yaml'),
    'kubernetes/base/redis.conf': copyOf('redis/redis.conf'),
    'kubernetes/monitoring/alerts.yaml': alertsAsResource(),
  };
}

function copyOf(name: string): string {
  return `# Copied from infra/${name} by \`npm run docs\`.\n${read(name)}`;
}

/** The rules of Prometheus as the operator's resource. */
function alertsAsResource(): string {
  const rules = read('prometheus/alerts.yaml').replace(/^(?!$)/gm, '  ');
  return [
    '# Made from infra/prometheus/alerts.yaml by `npm run docs`.',
    'apiVersion: monitoring.coreos.com/v1',
    'kind: PrometheusRule',
    'metadata:',
    '  name: sealpost',
    'spec:',
    rules,
  ].join('\n');
}
