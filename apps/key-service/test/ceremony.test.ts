// The first ceremony of docs/key-management.md, walked word for word: two people, each with a key made at home, a store for
// production, second factors, and a policy that one requests and the other approves.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { SetupError } from '@sealpost/core';
import { loadConfig } from '@sealpost/service';
import { freePort, temporaryDirectory } from '@sealpost/testkit';
import type { OpenStore } from '../src/open-store.ts';
import { firstPerson } from '../src/policy/begin.ts';
import { codeFor, withStore } from './people.ts';
import { passphrase, type RunningKeyService, runInit, startKeyService, writeConfig } from './running-key-service.ts';

const root = join(import.meta.dirname, '../../..');
const page = readFileSync(join(root, 'docs/key-management.md'), 'utf8');
const lines = (/## The first ceremony[\s\S]*?```\n([\s\S]*?)```/.exec(page)?.[1] ?? '')
  .replace(/ \\\n\s+/g, ' ')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'));

test('the ceremony as the page has it leaves a store whose policy two people settled', async () => {
  const temporary = await temporaryDirectory();
  const [port, healthPort] = [await freePort(), await freePort()];
  const configFile = writeConfig(temporary.path, port, healthPort, { slot: 'passphrase' });
  for (const name of ['alice', 'bob']) writeFileSync(join(temporary.path, `${name}.pass`), `secret of ${name}\n`);
  writeFileSync(join(temporary.path, 'passphrase'), `${passphrase}\n`);

  const uris = new Map<string, string>();
  const steps = new Map<string, number>();
  let request = '';
  let service: RunningKeyService | undefined;
  const run = (line: string): string => {
    const who = /--as ~\/([a-z]+)/.exec(line)?.[1] ?? '';
    const step = (steps.get(who) ?? -1) + 1;
    if (line.includes(' CODE')) steps.set(who, step);
    const words = line
      .replaceAll('~', temporary.path)
      .replaceAll('/etc/sealpost.yaml', configFile)
      .replaceAll('/run/passphrase', join(temporary.path, 'passphrase'))
      .replaceAll('REQUEST', request)
      .replaceAll(' CODE', () => ` ${codeFor(uris.get(who) ?? '', step)}`);
    // As the page says before the block: every command but the one at home names the configuration.
    const more = line.startsWith('sealpost') && !line.includes('people key') ? `--config ${configFile}` : '';
    const script = `sealpost() { "$NODE" apps/cli/bin/sealpost.mjs "$@" ${more}; }; node() { "$NODE" "$@"; }; ${words}`;
    const env = { ...process.env, NODE: process.execPath };
    const { status, stdout, stderr } = spawnSync('sh', ['-ec', script], { cwd: root, encoding: 'utf8', env });
    assert.equal(status, 0, `${line}\n${stdout}${stderr}`);
    if (line.includes('people enrol')) uris.set(who, stdout.trim());
    request = /^request +([0-9a-f-]{36})$/m.exec(stdout)?.[1] ?? request;
    return stdout;
  };

  try {
    const said: string[] = [];
    for (const line of lines) {
      if (/main\.ts --config/.test(line)) {
        const config = loadConfig(configFile);
        service = await startKeyService(temporary, { configFile, config, port, healthPort });
      } else said.push(run(line));
    }
    assert.ok(lines.length > 12 && request !== '');
    assert.match(said.join(''), /^state +executed$|"hash":"[0-9a-f]{64}"/m);
    const log = readFileSync(loadConfig(configFile).keyServer.audit.file, 'utf8');
    for (const [operation, actor] of [
      ['policy-first', 'init'],
      ['person-add', 'init'],
      ['unseal', 'alice'],
      ['people-confirm', 'bob'],
      ['act-request', 'alice'],
      ['act-approve', 'bob'],
      ['act-execute', 'alice'],
    ] as const) {
      const is = new RegExp(`"operation":"${operation}"[^\n]*"name":"${actor}"`);
      assert.match(log, is, `${operation} by ${actor}`);
    }
    const list = JSON.parse(run('sealpost people list --json --as ~/alice --as-passphrase-file ~/alice.pass'));
    assert.deepEqual(
      list.map(({ role, name, secondFactor }: Record<string, unknown>) => [role, name, secondFactor]),
      [
        ['key-admin', 'alice', true],
        ['custodian', 'bob', true],
        ['operator', 'default', false],
      ],
    );
  } finally {
    if (service) await service[Symbol.asyncDispose]();
    else await temporary.remove();
  }
});

test('init lets nobody in beside those who are there, and nobody in who could not be asked for anything', async () => {
  await using directory = await temporaryDirectory();
  const file = writeConfig(directory.path, 1, 2);
  // Not made by init: a secret manager's, so the store is one for production.
  writeFileSync(join(directory.path, 'root'), 'x'.repeat(40), { mode: 0o400 });
  const writeKey = (name: string, type: 'ed25519' | 'ed448'): string => {
    const { publicKey } = type === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ed448');
    writeFileSync(join(directory.path, name), publicKey.export({ format: 'pem', type: 'spki' }));
    return join(directory.path, name);
  };
  writeKey('eve.pub', 'ed25519');
  const as = (who: string) => ['--person', `${who}=${join(directory.path, 'eve.pub')}`];
  const attempt = (...more: readonly string[]) => {
    const { status, stderr, stdout } = runInit(file, undefined, more);
    return `${status} ${stderr}${stdout}`;
  };
  assert.match(attempt(...as('key-admin/eve')), /^1 the policy asks for a key-admin and for others/);
  assert.match(
    attempt(...as('key-admin/eve'), ...as('custodian/adam')),
    /^1 .*knows a person by this name, or with this key/,
  );
  const adam = writeKey('adam.pub', 'ed448');
  assert.match(attempt(...as('key-admin/eve'), '--person', `custodian/adam=${adam}`), /^1 This is no public key/);
  writeKey('adam.pub', 'ed25519');
  assert.match(
    attempt(...as('key-admin/eve'), '--person', `custodian/adam=${adam}`),
    /^0 [\s\S]*let in custodian\/adam/,
  );
  assert.match(attempt(...as('key-admin/eve'), '--person', `custodian/adam=${adam}`), /^1 the first people are there/);
  // Nor does somebody come back who was shut out.
  const known = async (change: (store: OpenStore) => Promise<void> | void): Promise<string[]> =>
    await withStore(loadConfig(file), readFileSync(join(directory.path, 'root')), async (store) => {
      await change(store);
      return (await store.people.list()).map(({ name }) => name);
    });
  assert.deepEqual(await known(({ people }) => people.remove('default')), ['adam', 'eve']);
  assert.match(attempt(), /^0 /);
  assert.deepEqual(await known(() => undefined), ['adam', 'eve']);
  for (const who of ['worker/eve', 'key-admin/Eve', 'key-admin/default', 'key-admin/', '', 'key-admin/../eve']) {
    assert.throws(() => firstPerson(`${who}=eve.pub`), SetupError, who);
  }
});
