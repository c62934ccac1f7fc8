// `npm run check`: format, lint, types, dead code, tests, in that order; stops at the first that fails.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const checks: readonly (readonly [name: string, command: string, args: readonly string[]])[] = [
  ['format and lint', 'biome', ['check', '.']],
  ['types', 'tsc', ['-p', '.']],
  ['dead code', 'knip', []],
  ['tests', process.execPath, ['scripts/test.ts']],
];

for (const [name, command, args] of checks) {
  process.stderr.write(`── ${name}\n`);
  const run = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (run.status !== 0) {
    process.stderr.write(`── ${name}: failed\n`);
    process.exit(1);
  }
}
