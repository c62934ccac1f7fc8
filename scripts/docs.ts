// `npm run docs`: writes the pages that are made from code, and the files of infra/ that are made from others.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deploymentCopies } from './deployment-copies.ts';
import { renderErrors } from './error-table.ts';
import { renderMetrics } from './metric-table.ts';
import { withPermissions } from './permission-table.ts';

const docs = join(import.meta.dirname, '../docs');

writeFileSync(join(docs, 'errors.md'), renderErrors());
writeFileSync(join(docs, 'metrics.md'), renderMetrics());
const keys = join(docs, 'key-management.md');
writeFileSync(keys, withPermissions(readFileSync(keys, 'utf8')));
for (const [file, text] of Object.entries(deploymentCopies())) writeFileSync(join(docs, '../infra', file), text);
