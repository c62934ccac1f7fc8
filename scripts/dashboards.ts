// Writes Grafana's dashboards from their code in infra/grafana/src; a test compares the two.
// Usage: npm run dashboards

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dashboardFiles } from '../infra/grafana/src/dashboards.ts';

const directory = join(import.meta.dirname, '../infra/grafana/dashboards');
mkdirSync(directory, { recursive: true });
for (const [name, content] of dashboardFiles) writeFileSync(join(directory, name), content);
