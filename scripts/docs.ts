// `npm run docs`: writes the pages that are made from code.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderErrors } from './error-table.ts';
import { renderMetrics } from './metric-table.ts';
import { withPermissions } from './permission-table.ts';

const docs = join(import.meta.dirname, '../docs');

writeFileSync(join(docs, 'errors.md'), renderErrors());
writeFileSync(join(docs, 'metrics.md'), renderMetrics());
const keys = join(docs, 'key-management.md');
writeFileSync(keys, withPermissions(readFileSync(keys, 'utf8')));
