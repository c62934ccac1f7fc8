// `npm run docs`: writes the pages that are made from code.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderErrors } from './error-table.ts';
import { renderMetrics } from './metric-table.ts';

const docs = join(import.meta.dirname, '../docs');

writeFileSync(join(docs, 'errors.md'), renderErrors());
writeFileSync(join(docs, 'metrics.md'), renderMetrics());
