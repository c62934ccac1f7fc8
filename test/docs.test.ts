// Pages that are made from code say what the code says.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { renderErrors } from '../scripts/error-table.ts';

const page = (name: string): string => readFileSync(join(import.meta.dirname, '../docs', name), 'utf8');

test('docs/errors.md is the error table (npm run docs writes it)', () => {
  assert.equal(page('errors.md'), renderErrors());
});
