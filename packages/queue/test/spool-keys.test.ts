// What the spool says of its keys is read from the pieces themselves.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { type KeyId, newMessageId, sealBytes, type TenantId } from '@sealpost/core';
import { memoryBlobs, namedSpoolKeys } from '../src/index.ts';

const { publicKey } = generateKeyPairSync('x25519');

test('messages and plans are counted by the key that they name; what names none is told apart', async () => {
  const blobs = memoryBlobs();
  const put = async (version: number, isPlan: boolean): Promise<void> => {
    const id = newMessageId(new Date());
    const keyId = `alpha/stage.crypto/spool/${version}` as KeyId;
    const context = { keyId, tenant: 'alpha' as TenantId, id, stage: 'crypto' } as const;
    const sealed = sealBytes([Buffer.from('content')], context, publicKey);
    const ticket = Buffer.alloc(300, 7);
    const length = Buffer.from([ticket.length >> 8, ticket.length & 255]);
    await blobs.put(isPlan ? `plan-${id}` : id, isPlan ? Buffer.concat([length, ticket, sealed]) : sealed);
  };
  await put(1, false);
  await put(2, false);
  await put(1, true);
  const later = new Date(Date.now() + 1_000);
  assert.deepEqual(await namedSpoolKeys(blobs, later), {
    blobs: 3,
    unread: 0,
    keys: new Map([
      ['alpha/stage.crypto/spool/1', 2],
      ['alpha/stage.crypto/spool/2', 1],
    ]),
  });
  const broken = ['', '\x01', 'nonsense that names nothing', '\x01\x01\x00\x00\x00\x03abc'];
  for (const text of broken) await blobs.put(newMessageId(new Date()), Buffer.from(text, 'latin1'));
  const { unread, keys } = await namedSpoolKeys(blobs, later);
  assert.deepEqual([unread, keys.size], [broken.length, 2]);
});
