// Renders the metric table of packages/service as docs/metrics.md.
// Usage: npm run docs        writes the file; a test fails while it differs from the table.

import { type MetricName, metrics } from '@sealpost/service';

const head = `# Metrics

Every metric that a Sealpost process shows on its \`/metrics\` (Prometheus text format), made from the table in
\`packages/service/src/telemetry/metrics.ts\`. Units are the base units that Prometheus uses, and stand in the name: seconds, bytes; a
name that ends in \`_total\` is a counter, which begins at 0 when its process starts. Values of labels are closed lists, codes of
[errors.md](errors.md), or names from the configuration (tenants, sources, routes); nothing that mail brings along but the few
domains that \`egress.waitingDomains\` asks for.

A series appears when there is something to count; \`sealpost_events_total\` has its warnings and errors at 0 from the start, so that
alert rules see the first one. What the queue and Redis hold is the same in every process that shows it: take the maximum, not the sum.
A histogram \`NAME\` is shown as \`NAME_bucket\`, \`NAME_sum\` and \`NAME_count\`. Beside these stands \`target_info\`, whose labels
\`service_name\` and \`service_instance_id\` name the process. The alerts made of them: [runbooks](runbooks/README.md).

| metric | kind | labels | shown by | meaning |
|---|---|---|---|---|
`;

/** Labels with more values than this are described, not listed. */
const longList = 8;

const closedLists: Readonly<Record<string, string>> = {
  step: 'a step of a pipeline',
  event: 'an event of the log',
  operation: 'an operation of the key service',
};

/** The whole file. */
export function renderMetrics(): string {
  const rows = (Object.keys(metrics) as MetricName[]).map((name) => {
    const row = metrics[name];
    const kind = 'grows' in row ? 'counter' : row.kind;
    const labels = Object.entries(row.labels as Readonly<Record<string, LabelValues>>).map(
      ([label, values]) => `\`${label}\`: ${valuesText(label, values)}`,
    );
    return `| \`${name}\` | ${kind} | ${labels.join('; ')} | ${row.by.join(', ')} | ${row.help} |`;
  });
  return `${head}${rows.join('\n')}\n`;
}

type LabelValues = readonly string[] | 'configured' | 'code' | 'domain';

function valuesText(label: string, values: LabelValues): string {
  if (values === 'configured') return 'from the configuration';
  if (values === 'code') return 'error code';
  if (values === 'domain') return '`egress.waitingDomains` domains at most, and `other`';
  return values.length > longList ? (closedLists[label] ?? values.join(', ')) : values.join(', ');
}
