// The configuration reference: made from the schema, complete, and the page in docs/ is the same.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { renderReference } from '../src/index.ts';

const page = join(import.meta.dirname, '../../../docs/configuration.md');
const rows = renderReference()
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()));

test('every key has a type and a meaning', () => {
  assert.ok(rows.length > 80);
  for (const [, key, type, , meaning] of rows) {
    assert.ok(type, `${key} has no type`);
    assert.ok(meaning, `${key} has no meaning: give its schema .describe()`);
  }
});

test('every key that holds a secret is a path', () => {
  const secrets = rows.filter(([, key = '']) => /(password|passphrase|hashKey|key)(File)?`$/i.test(key));
  assert.ok(secrets.length >= 4);
  for (const [, key, type] of secrets) assert.equal(type, 'absolute path', key ?? '');
});

test('docs/configuration.md is what `sealpost config reference` prints', () => {
  const isSame = readFileSync(page, 'utf8') === renderReference();
  assert.ok(isSame, 'run `npx sealpost config reference > docs/configuration.md`');
});
