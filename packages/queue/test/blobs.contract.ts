// What every blob store promises (core/ports.ts). Run on each form of it.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { newMessageId, SealpostError } from '@sealpost/core';
import type { SpoolBlobs } from '../src/index.ts';

const tricks = [
  '',
  '.',
  '..',
  '../x',
  'a/b',
  '/etc/passwd',
  'a\0b',
  'a:b',
  'A',
  '-a',
  'a'.repeat(129),
  'a.b',
  'ä',
  'a\n',
];

export function blobContract(form: string, open: (stack: AsyncDisposableStack) => Promise<SpoolBlobs>): void {
  const named = (name: string, run: (blobs: SpoolBlobs) => Promise<void>): void => {
    test(`${form}: ${name}`, async () => {
      await using stack = new AsyncDisposableStack();
      await run(stack.adopt(await open(stack), (blobs) => blobs.close()));
    });
  };
  const id = (): string => newMessageId(new Date());

  named('gives back exactly the bytes of every size', async (blobs) => {
    for (const size of [0, 1, 100, 32_767, 32_768, 32_769, 3_000_000]) {
      const [name, bytes] = [id(), randomBytes(size)];
      await blobs.put(name, bytes);
      assert.deepEqual(await blobs.get(name), bytes);
      assert.equal(await blobs.size(name), size);
    }
  });

  named('knows nothing of an id without bytes', async (blobs) => {
    assert.equal(await blobs.get(id()), undefined);
    assert.equal(await blobs.size(id()), 0);
    await blobs.remove(id());
  });

  named('replaces bytes, also across sizes', async (blobs) => {
    const name = id();
    for (const size of [10, 100_000, 10, 40_000]) {
      const bytes = randomBytes(size);
      await blobs.put(name, bytes);
      assert.deepEqual(await blobs.get(name), bytes);
      assert.equal(await blobs.size(name), size);
    }
  });

  named('lets the first of many writers win and tells the others', async (blobs) => {
    for (const size of [50, 50_000]) {
      const name = `plan-${id()}`;
      const answers = await Promise.all(Array.from({ length: 12 }, () => blobs.putOnce(name, randomBytes(size))));
      const [first] = answers;
      assert.ok(first);
      for (const answer of answers) assert.deepEqual(answer, first);
      assert.deepEqual(await blobs.get(name), first);
      assert.deepEqual(await blobs.putOnce(name, randomBytes(size)), first);
    }
  });

  named('keeps bytes that were put before a putOnce of any size', async (blobs) => {
    for (const [before, after] of [
      [10, 100_000],
      [100_000, 10],
    ] as const) {
      const [name, bytes] = [id(), randomBytes(before)];
      await blobs.put(name, bytes);
      assert.deepEqual(await blobs.putOnce(name, randomBytes(after)), bytes);
    }
  });

  named('forgets what is removed', async (blobs) => {
    for (const size of [10, 100_000]) {
      const name = id();
      await blobs.put(name, randomBytes(size));
      await blobs.remove(name);
      assert.equal(await blobs.get(name), undefined);
      await blobs.putOnce(name, randomBytes(size));
      await blobs.remove(name);
      assert.equal(await blobs.get(name), undefined);
    }
  });

  named('does not keep the buffer that it was given', async (blobs) => {
    const [name, bytes] = [id(), Buffer.from('sealed')];
    await blobs.put(name, bytes);
    bytes.fill(0);
    assert.equal(String(await blobs.get(name)), 'sealed');
  });

  named('refuses every id that could be a path or another key', async (blobs) => {
    const refused = (error: unknown): boolean => error instanceof SealpostError && error.code === 'id-invalid';
    for (const name of tricks) {
      await assert.rejects(async () => blobs.put(name, Buffer.from('x')), refused, JSON.stringify(name));
      await assert.rejects(async () => blobs.putOnce(name, Buffer.from('x')), refused, JSON.stringify(name));
      await assert.rejects(async () => blobs.get(name), refused, JSON.stringify(name));
      await assert.rejects(async () => blobs.remove(name), refused, JSON.stringify(name));
    }
  });

  named('lists what was there before a time', async (blobs) => {
    const names = [id(), id()];
    for (const [index, name] of names.entries()) await blobs.put(name, randomBytes(index === 0 ? 10 : 100_000));
    const collect = async (time: Date): Promise<string[]> => {
      const found: string[] = [];
      for await (const name of blobs.olderThan(time)) found.push(name);
      return found.sort();
    };
    assert.deepEqual(await collect(new Date(Date.now() + 60_000)), names.sort());
    assert.deepEqual(await collect(new Date(Date.now() - 60_000)), []);
  });
}
