// The real Redis that tests of the queue rest on.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { startRedis } from '../src/index.ts';

async function ask(port: number, line: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.write(`${line}\r\n`);
  for await (const bytes of socket) {
    socket.destroy();
    return String(bytes);
  }
  throw new Error('no answer');
}

test('what was answered survives SIGKILL, on the same port', async () => {
  await using redis = await startRedis();
  assert.equal(await ask(redis.port, 'SET mail here'), '+OK\r\n');
  const before = redis.pid;
  await redis.kill();
  await assert.rejects(ask(redis.port, 'PING'));
  await redis.start();
  assert.notEqual(redis.pid, before);
  assert.equal(await ask(redis.port, 'GET mail'), '$4\r\nhere\r\n');
});

test('it runs with the settings that the gateway demands, and with those given', async () => {
  await using redis = await startRedis({ settings: { maxmemory: '64mb' } });
  assert.match(await ask(redis.port, 'CONFIG GET appendfsync'), /always/);
  assert.match(await ask(redis.port, 'CONFIG GET maxmemory-policy'), /noeviction/);
  assert.match(await ask(redis.port, 'CONFIG GET maxmemory'), /67108864/);
});
