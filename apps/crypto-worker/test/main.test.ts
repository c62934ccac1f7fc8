// The command line of the worker: what it refuses, it refuses with a reason and an exit code that scripts can tell apart.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '@sealpost/testkit';

const main = join(import.meta.dirname, '../src/main.ts');

function run(...args: string[]): { status: number | null; stderr: string } {
  const { status, stderr } = spawnSync(process.execPath, [main, ...args], { encoding: 'utf8' });
  return { status, stderr };
}

test('explain refuses a wrong command line, a wrong file and mail of nobody', async () => {
  await using directory = await temporaryDirectory();
  const config = join(directory.path, 'config.yaml');
  const mail = join(directory.path, 'mail.eml');
  writeFileSync(
    config,
    'installation: gateway.test\ntenants: [{id: alpha, domains: [alpha.test]}]\ningress: {outbound: {startTls: "off"}, inbound: {startTls: "off"}}\n',
  );
  writeFileSync(mail, 'From: a@else.test\n\nHello\n');
  const question = ['--explain', mail, '--from', 'a@else.test', '--to', 'b@else.test'];

  assert.equal(run('--config', config, '--explain', mail).status, 64);
  assert.equal(run('--config', config, ...question, '--direction', 'sideways').status, 64);
  assert.equal(run('--config', join(directory.path, 'none.yaml'), ...question).status, 78);
  const nobody = run('--config', config, ...question);
  assert.match(nobody.stderr, /^No tenant has the domain of the recipient\n$/);
  assert.equal(nobody.status, 64);
});

test('a configuration that does not parse ends the worker before it starts anything', async () => {
  await using directory = await temporaryDirectory();
  const config = join(directory.path, 'config.yaml');
  writeFileSync(config, 'installation: gateway.test\nworker: {concurency: 3}\n');
  const { status, stderr } = run('--config', config, '--check-config');
  assert.equal(status, 78);
  assert.match(stderr, /worker\.concurency.*concurrency/s);
});
