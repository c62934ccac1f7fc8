// The connection: which servers are refused, and what happens when the server goes and another comes.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { SetupError } from '@sealpost/core';
import { freePort, makeTlsFiles, startRedis, temporaryDirectory } from '@sealpost/testkit';
import { connectRedis, type RedisRisk, redisMarks } from '../src/index.ts';
import { linkTo, recorder, redisServer, until } from './fixtures.ts';

const host = '127.0.0.1';
const unsafe: readonly [RedisRisk, Record<string, string>, RegExp][] = [
  [
    'fsync',
    { appendfsync: 'everysec' },
    /appendfsync is "everysec" and must be "always".*"fsync" in redis\.acceptRisks/,
  ],
  ['persistence', { appendonly: 'no' }, /appendonly is "no" and must be "yes".*"persistence"/],
  ['eviction', { 'maxmemory-policy': 'allkeys-lru' }, /maxmemory-policy is "allkeys-lru" and must be "noeviction"/],
];

for (const [risk, settings, message] of unsafe) {
  test(`a server with the risk "${risk}" is refused by the name of its setting, unless the operator accepted it`, async () => {
    await using server = await startRedis({ settings });
    const { port } = server;
    const refused = connectRedis({ host, port, acceptRisks: [] }, recorder());
    await assert.rejects(refused, (error) => error instanceof SetupError && message.test(error.message));
    const others = unsafe.map(([name]) => name).filter((name) => name !== risk);
    await assert.rejects(connectRedis({ host, port, acceptRisks: others }, recorder()), SetupError);

    const log = recorder();
    const link = await connectRedis({ host, port, acceptRisks: [risk] }, log);
    await link.verified();
    await link.close();
    assert.deepEqual(log.names(), ['config.warning']);
    assert.match(log.events[0]?.[1]?.reason ?? '', message);
  });
}

test('a server that forbids CONFIG is refused, because its fsync cannot be known', async () => {
  await using stack = new AsyncDisposableStack();
  const { settings, client } = await withPassword(stack);
  await client.acl('SETUSER', 'gateway', 'on', '>correct horse', '~*', '&*', '+@all', '-config');
  const gateway = { ...settings, username: 'gateway' };
  const message = /appendfsync cannot be read and must be "always"/;
  await assert.rejects(connectRedis(gateway, recorder()), { name: 'SetupError', message });
  await (await connectRedis({ ...gateway, acceptRisks: ['fsync'] }, recorder())).close();
});

test('a server that is not there is told by its address after the patience at start', async () => {
  const port = await freePort();
  await assert.rejects(connectRedis({ host, port, acceptRisks: [] }, recorder(), 300), {
    name: 'SetupError',
    message: `Redis at 127.0.0.1:${port} cannot be used: connect ECONNREFUSED 127.0.0.1:${port}`,
  });
});

test('a server that comes back with settings that lose mail takes none', async () => {
  await using stack = new AsyncDisposableStack();
  const [server, log] = [await redisServer(stack), recorder()];
  const link = await linkTo(stack, server, log);
  const marks = redisMarks(link);
  await marks.set('before', 60_000);
  await server.kill();
  await assert.rejects(marks.set('away', 60_000), { code: 'queue-unavailable' });
  await using weaker = await startRedis({ port: server.port, settings: { appendfsync: 'no' } });
  await until(() => link.isReady());
  await assert.rejects(marks.set('weak', 60_000), { code: 'queue-unavailable' });
  assert.deepEqual(log.names(), ['dependency.lost', 'config.warning']);

  await weaker.kill();
  await server.start();
  await until(async () => log.names().includes('dependency.back'));
  assert.equal(await marks.has('before'), true);
});

test('the password comes from a file', async () => {
  await using stack = new AsyncDisposableStack();
  const { settings, client } = await withPassword(stack);
  await client.config('SET', 'requirepass', 'correct horse');
  await (await connectRedis(settings, recorder())).close();
  const { passwordFile: _none, ...without } = settings;
  await assert.rejects(connectRedis(without, recorder(), 300), { name: 'SetupError', message: /NOAUTH/ });
});

test('over TLS only a server whose certificate the CA file vouches for', async () => {
  await using stack = new AsyncDisposableStack();
  const { settings, client, directory } = await withPassword(stack);
  const own = await makeTlsFiles(directory, { prefix: 'own' });
  const other = await makeTlsFiles(directory, { prefix: 'other' });
  const port = await freePort();
  await client.config('SET', 'tls-cert-file', own.certificateFile, 'tls-key-file', own.keyFile);
  await client.config('SET', 'tls-ca-cert-file', own.caFile, 'tls-auth-clients', 'no', 'tls-port', port);
  const { passwordFile: _none, ...overTls } = { ...settings, port };
  const connectBy = (caFile: string) => connectRedis({ ...overTls, tls: { caFile } }, recorder(), 500);
  await (await connectBy(own.caFile)).close();
  await assert.rejects(connectBy(other.caFile), { name: 'SetupError', message: /certificate/ });
});

/** A server, a client of it, and settings with a password that the server does not ask for yet. */
async function withPassword(stack: AsyncDisposableStack) {
  const directory = stack.use(await temporaryDirectory()).path;
  const passwordFile = join(directory, 'password');
  writeFileSync(passwordFile, 'correct horse\n');
  const server = await redisServer(stack);
  const { client } = await linkTo(stack, server);
  const settings = { host, port: server.port, passwordFile, acceptRisks: [] } as const;
  return { directory, client, settings };
}
