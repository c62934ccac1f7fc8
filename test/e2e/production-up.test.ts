// `sealpost up` with a configuration for production: the key store stays sealed, says how to go on, and the gateway follows when
// somebody opens it.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, startRedis, temporaryDirectory } from '@sealpost/testkit';

const command = join(import.meta.dirname, '../../apps/cli/src/main.ts');
const keyService = join(import.meta.dirname, '../../apps/key-service/src/main.ts');
const passphrase = 'correct horse battery staple';
const deadlineMs = 60_000;

test('it stays sealed, says how to open it, and goes on when it is open', async () => {
  await using directory = await temporaryDirectory();
  await using redis = await startRedis();
  const at = (name: string) => join(directory.path, name);
  const port = async () => ({ host: '127.0.0.1', port: await freePort() });
  const keys = await port();
  const http = { ingress: await port(), worker: await port(), egress: await port(), keyService: await port() };
  const file = at('sealpost.yaml');
  const credentials = at('credentials');
  writeFileSync(
    file,
    JSON.stringify({
      installation: 'gateway.alpha.test',
      redis: { host: redis.host, port: redis.port },
      blobs: { directory: at('spool') },
      keyService: {
        url: `https://127.0.0.1:${keys.port}`,
        caFile: join(credentials, 'ca.crt'),
        credentials,
        passphraseFile: join(credentials, 'passphrase'),
      },
      tenants: [{ id: 'alpha', domains: ['alpha.test'] }],
      ingress: {
        outbound: { listen: await port(), startTls: 'off' },
        inbound: { listen: await port(), startTls: 'off' },
      },
      egress: { routes: [] },
      keyServer: { listen: keys, directory: at('keys'), audit: { file: at('audit.log') } },
      http,
    }),
  );
  const shares = ['--slot', 'people=shamir:2/3', '--slot', 'passphrase', '--shares-dir', at('shares')];
  const init = spawnSync(
    process.execPath,
    [keyService, 'init', '--config', file, '--passphrase-file', '-', ...shares],
    { input: passphrase, encoding: 'utf8' },
  );
  assert.equal(init.status, 0, init.stderr);

  const up = spawn(process.execPath, [command, 'up', '--config', file, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  let ready = '';
  up.stderr.on('data', (text: Buffer) => {
    said += text.toString();
  });
  up.stdout.on('data', (text: Buffer) => {
    ready += text.toString();
  });
  const until = async (what: string, holds: () => boolean): Promise<void> => {
    for (const end = Date.now() + deadlineMs; !holds(); await sleep(50)) {
      assert.ok(Date.now() < end && up.exitCode === null, `${what}: ${said}`);
    }
  };
  const sealpost = (...args: string[]) =>
    spawnSync(process.execPath, [command, 'key-service', ...args, '--config', file], {
      input: passphrase,
      encoding: 'utf8',
    });
  const unsealed = async (): Promise<unknown> => {
    const opening = spawn(process.execPath, [
      command,
      'key-service',
      'unseal',
      '--config',
      file,
      '--passphrase-file',
      '-',
    ]);
    opening.stdin.end(passphrase);
    return (await once(opening, 'exit'))[0];
  };
  try {
    await until('says how', () => said.includes('(2 of 3 custodians of people)'));
    assert.match(said, /the key store is sealed, as it should be after a start/);
    assert.ok(said.includes(`npx sealpost key-service unseal --config ${file} --passphrase-file -`));
    assert.doesNotMatch(said, /WARNING/);
    const status = JSON.parse(sealpost('status', '--json').stdout);
    assert.equal(status.sealed, true);
    assert.equal(ready, '');

    // Two custodians, as they are told.
    for (const [number, sealed] of [
      [1, true],
      [3, false],
    ] as const) {
      const share = ['--share-file', join(at('shares'), `people-${number}.share`)];
      const handed = sealpost('unseal', ...share, '--json');
      assert.equal(handed.status, 0, handed.stderr);
      assert.equal(JSON.parse(handed.stdout).sealed, sealed);
    }
    await until('becomes ready', () => ready.includes('"ready"'));

    // By the passphrase too, whose stretching has to fit into the secure heap that `up` gives the service; two may try at once.
    assert.equal(sealpost('seal').status, 0);
    const both = await Promise.all([unsealed(), unsealed()]);
    assert.deepEqual([...both, JSON.parse(sealpost('status', '--json').stdout).sealed], [0, 0, false]);
  } finally {
    const gone = once(up, 'exit');
    up.kill('SIGTERM');
    await gone;
  }
  assert.equal(up.exitCode, 0);
});
