// Runs the tests with node:test. `npm test` runs everything that needs no container; `--suite NAME` runs one of the long ones.
// Usage: npm test [-- PATTERN…]      a pattern is a part of a test file's path

import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { installPeers } from './peers.ts';

const root = join(import.meta.dirname, '..');

const suites: Readonly<Record<string, readonly string[]>> = {
  default: [
    'packages/*/test/**/*.test.ts',
    'apps/*/test/**/*.test.ts',
    'test/*.test.ts',
    'test/infra/**/*.test.ts',
    'test/e2e/**/*.test.ts',
    'test/conformance/**/*.test.ts',
  ],
  fault: ['test/fault/**/*.test.ts'],
  interop: ['test/interop/**/*.test.ts'],
  containers: ['test/containers/**/*.test.ts'],
};

/** Of one file, in milliseconds: images are built once. */
const timeouts: Readonly<Record<string, number>> = { containers: 900_000 };
const usualTimeout = 240_000;

const { values, positionals } = parseArgs({
  options: { suite: { type: 'string', default: 'default' } },
  allowPositionals: true,
});
const patterns = suites[values.suite];
if (!patterns) {
  process.stderr.write(`No suite '${values.suite}'; there are ${Object.keys(suites).join(', ')}.\n`);
  process.exit(2);
}
const files = patterns
  .flatMap((pattern) => globSync(pattern, { cwd: root }))
  .filter((file) => positionals.length === 0 || positionals.some((part) => file.includes(part)))
  .sort();
if (files.length === 0) {
  process.stderr.write('No test file matches.\n');
  process.exit(2);
}
installPeers(values.suite);
const timeout = `--test-timeout=${timeouts[values.suite] ?? usualTimeout}`;
const run = spawnSync(process.execPath, ['--test', '--test-concurrency=2', timeout, ...files], {
  cwd: root,
  stdio: 'inherit',
});
process.exit(run.status ?? 1);
