// `sealpost config check` as a person or a pipeline runs it: what it prints and how it ends.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { minimalExample } from '@sealpost/service';
import { temporaryDirectory } from '@sealpost/testkit';

const command = join(import.meta.dirname, '../src/main.ts');

async function check(words: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const env = { PATH: process.env.PATH, ...environment };
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [command, 'config', 'check', ...words], { env });
    return { code: 0, stdout, stderr: '' };
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string };
  }
}

test('each problem is a line with its place, and as JSON; 0 for a sound file, 1 for another, 2 for a wrong command line', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'sealpost.yaml');
  writeFileSync(file, `${minimalExample}redis:\n  port: ${'${REDIS_PORT:-6379}'}\n`);

  assert.deepEqual(await check([file]), { code: 0, stdout: `${file}: ok\n`, stderr: '' });
  const named = await check([], { SEALPOST_CONFIG: file });
  assert.deepEqual([named.code, named.stdout], [0, `${file}: ok\n`]);

  const REDIS_PORT = 'hunter2';
  const wrong = await check([file], { REDIS_PORT });
  assert.equal(wrong.code, 1);
  assert.equal(
    wrong.stdout,
    `${file}:24:9: redis.port: must be a whole number (the value comes from REDIS_PORT in the environment)\n`,
  );
  const json = await check(['--json', file], { REDIS_PORT });
  assert.equal(json.code, 1);
  assert.deepEqual(JSON.parse(json.stdout), {
    ok: false,
    file,
    problems: [{ path: 'redis.port', text: 'must be a whole number', line: 24, column: 9, variables: ['REDIS_PORT'] }],
  });

  const missing = await check(['--json', `${file}.old`]);
  assert.deepEqual([missing.code, JSON.parse(missing.stdout).problems], [1, [{ path: '', text: 'cannot be read' }]]);
  assert.equal((await check([])).code, 2);
  assert.equal((await check([file, file])).code, 2);
});
