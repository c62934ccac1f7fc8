// The process itself: started from a configuration file, with a key service that is away, ended by SIGTERM.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectSmtp, freePort, makeTlsFiles, startRedis, temporaryDirectory } from '@sealpost/testkit';
import { mail } from './gateway.ts';

const main = join(import.meta.dirname, '../src/main.ts');

test('it serves 451 while no key is known, stays up, and ends within its time', async () => {
  await using directory = await temporaryDirectory();
  await using redis = await startRedis();
  const ports = { outbound: await freePort(), inbound: await freePort(), http: await freePort() };
  const config = await writeConfig(directory.path, redis.port, ports);
  const child = run(config);
  const health = (path: string) => fetch(`http://127.0.0.1:${ports.http}/${path}`).then(({ status }) => status);
  await answers(() => connectSmtp({ host: '127.0.0.1', port: ports.inbound }));
  assert.deepEqual([await health('live'), await health('ready')], [200, 503]);

  await using client = await connectSmtp({ host: '127.0.0.1', port: ports.outbound });
  await client.greet();
  const { message } = await client.send({ from: 'a@alpha.test', to: ['b@x.test'], message: mail() });
  assert.match(message?.text ?? '', /^451 4\.3\.0 The key service cannot be reached/);

  const log = text(child.stdout);
  const started = performance.now();
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit');
  assert.equal(code, 0);
  assert.ok(performance.now() - started < 5_000);
  const lines = await log;
  assert.match(lines, /"message\.refused".*key-service-unavailable|key-service-unavailable.*"message\.refused"/);
  for (const secret of ['a@alpha.test', 'b@x.test', 'alice@alpha.test', 'Hello']) assert.ok(!lines.includes(secret));
});

test('it does not start on a Redis that may forget', async () => {
  await using directory = await temporaryDirectory();
  await using redis = await startRedis({ settings: { appendfsync: 'everysec' } });
  const ports = { outbound: await freePort(), inbound: await freePort(), http: await freePort() };
  const child = run(await writeConfig(directory.path, redis.port, ports));
  const log = text(child.stdout);
  const [code] = await once(child, 'exit');
  assert.equal(code, 1);
  assert.match(await log, /appendfsync/);
});

function run(config: string) {
  const child = spawn(process.execPath, [main, '--config', config], { stdio: ['ignore', 'pipe', 'inherit'] });
  process.once('exit', () => child.kill('SIGKILL'));
  return child;
}

async function writeConfig(
  directory: string,
  redisPort: number,
  ports: { outbound: number; inbound: number; http: number },
): Promise<string> {
  const tls = await makeTlsFiles(directory);
  await copyFile(tls.certificateFile, join(directory, 'ingress.crt'));
  await copyFile(tls.keyFile, join(directory, 'ingress.key'));
  const listen = (port: number) => ({ host: '127.0.0.1', port });
  const file = join(directory, 'sealpost.yaml');
  await writeFile(
    file,
    // JSON is YAML.
    JSON.stringify({
      installation: 'gateway.test',
      redis: listen(redisPort),
      blobs: { directory: join(directory, 'blobs') },
      keyService: { url: 'https://127.0.0.1:1', caFile: tls.caFile, credentials: directory },
      tenants: [{ id: 'alpha', domains: ['alpha.test'] }],
      ingress: {
        outbound: {
          listen: listen(ports.outbound),
          startTls: 'off',
          sources: [{ name: 'loopback', tenant: 'alpha', networks: ['127.0.0.0/8'], domains: ['alpha.test'] }],
        },
        inbound: { listen: listen(ports.inbound), startTls: 'off' },
      },
      egress: { routes: [] },
      keyServer: { directory, slot: { kind: 'passphrase' }, audit: { file: join(directory, 'audit') } },
      http: { ingress: listen(ports.http) },
    }),
  );
  return file;
}

async function answers(attempt: () => Promise<AsyncDisposable>): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    const reached = await attempt().catch(() => undefined);
    if (reached) return reached[Symbol.asyncDispose]();
    await sleep(50);
  }
  assert.fail('it never listened');
}
