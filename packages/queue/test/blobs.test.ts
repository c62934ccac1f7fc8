// The blob stores: one contract for all forms, then what is particular to each.

import assert from 'node:assert/strict';
import { readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { newMessageId } from '@sealpost/core';
import { temporaryDirectory } from '@sealpost/testkit';
import { fileBlobs, memoryBlobs, redisBlobs, tieredBlobs } from '../src/index.ts';
import { blobContract } from './blobs.contract.ts';
import { linkTo, redisServer } from './fixtures.ts';

async function directory(stack: AsyncDisposableStack): Promise<string> {
  return stack.use(await temporaryDirectory()).path;
}

const filesIn = (path: string): string[] =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name);

blobContract('memory', async () => memoryBlobs());
blobContract('file', async (stack) => fileBlobs(await directory(stack)));
const smallTier = async (stack: AsyncDisposableStack) => redisBlobs(await linkTo(stack, await redisServer(stack)));

blobContract('redis', smallTier);
blobContract('tiered', async (stack) => {
  return tieredBlobs(await smallTier(stack), await fileBlobs(await directory(stack)), 32_768);
});

test('tiered: a small message never costs a look among the files', async () => {
  await using stack = new AsyncDisposableStack();
  const never = (): never => {
    throw new Error('The files were asked');
  };
  const files = { put: never, putOnce: never, get: never, size: never, remove: never, olderThan: never, close: never };
  const blobs = tieredBlobs(await smallTier(stack), files, 32_768);
  const id = newMessageId(new Date());
  const bytes = Buffer.alloc(100, 1);
  await blobs.put(id, bytes);
  assert.deepEqual(await blobs.putOnce(id, Buffer.alloc(40_000)), bytes);
  assert.equal(await blobs.size(id), 100);
  await blobs.remove(id);
  assert.equal(await blobs.get(id), undefined);
});

test('tiered: a file that lost its mark is found by the sweep and can be removed', async () => {
  await using stack = new AsyncDisposableStack();
  const [small, large] = [await smallTier(stack), memoryBlobs()];
  const blobs = tieredBlobs(small, large, 32_768);
  const id = newMessageId(new Date());
  await blobs.put(id, Buffer.alloc(40_000));
  await small.remove(id);
  assert.equal(await blobs.get(id), undefined);
  const found: string[] = [];
  for await (const name of blobs.olderThan(new Date(Date.now() + 60_000))) found.push(name);
  assert.deepEqual(found, [id]);
  await blobs.remove(id);
  assert.equal(await large.size(id), 0);
});

test('file: half-written files of dead processes are removed at start, young ones may be another process’s', async () => {
  await using stack = new AsyncDisposableStack();
  const path = await directory(stack);
  await fileBlobs(path);
  const [old, young] = [join(path, 'tmp', 'm1.aa'), join(path, 'tmp', 'm2.bb')];
  for (const file of [old, young]) writeFileSync(file, 'half');
  const hourAgo = Date.now() / 1000 - 3600;
  utimesSync(old, hourAgo, hourAgo);
  await fileBlobs(path);
  assert.deepEqual(filesIn(path), ['m2.bb']);
});

test('file: a write that fails leaves no file behind and says why', async () => {
  await using stack = new AsyncDisposableStack();
  const path = await directory(stack);
  const blobs = await fileBlobs(path);
  for (const name of readdirSync(path)) if (name !== 'tmp') rmSync(join(path, name), { recursive: true });
  await assert.rejects(blobs.put(newMessageId(new Date()), Buffer.from('x')), { code: 'blob-unavailable' });
  await assert.rejects(blobs.putOnce(newMessageId(new Date()), Buffer.from('x')), { code: 'blob-unavailable' });
  assert.deepEqual(filesIn(path), []);
});

test('file: bytes are for this user only', async () => {
  await using stack = new AsyncDisposableStack();
  const path = await directory(stack);
  const blobs = await fileBlobs(path);
  await blobs.put(newMessageId(new Date()), Buffer.from('sealed'));
  const modes = readdirSync(path, { recursive: true, withFileTypes: true }).map(
    (entry) => statSync(join(entry.parentPath, entry.name)).mode & 0o777,
  );
  assert.deepEqual([...new Set(modes)].sort(), [0o600, 0o700]);
});

test('file: a full disk is queue-full, a directory that cannot be made blob-unavailable', async () => {
  await using stack = new AsyncDisposableStack();
  const file = join(await directory(stack), 'file');
  writeFileSync(file, '');
  await assert.rejects(fileBlobs(join(file, 'blobs')), { code: 'blob-unavailable' });
});

test('redis: a full server is queue-full, one that is away blob-unavailable', async () => {
  await using stack = new AsyncDisposableStack();
  const server = await redisServer(stack, { maxmemory: '8mb' });
  const blobs = redisBlobs(await linkTo(stack, server));
  const fill = async (): Promise<void> => {
    for (let index = 0; index < 100; index += 1) await blobs.put(newMessageId(new Date()), Buffer.alloc(1_000_000, 1));
  };
  await assert.rejects(fill(), { code: 'queue-full' });
  await server.kill();
  await assert.rejects(blobs.put(newMessageId(new Date()), Buffer.from('x')), { code: 'blob-unavailable' });
  await assert.rejects(blobs.get(newMessageId(new Date())), { code: 'blob-unavailable' });
});
