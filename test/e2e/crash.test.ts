// The supervisor itself is killed: its processes end by themselves, and the next start takes over what it left, mail included.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectSmtp, startSmtpSink } from '@sealpost/testkit';
import { isAlive, startInstallation } from './installation.ts';
import { mail } from './partner.ts';

const directory = mkdtempSync(join(tmpdir(), 'sealpost-crash-'));
after(() => rmSync(directory, { recursive: true, force: true }));

test('after SIGKILL of `sealpost up` nothing of ours lives on, and a new start delivers what was accepted', async () => {
  await using outside = await startSmtpSink({
    reply: ({ stage }) => (stage === 'mail' ? '451 4.7.1 Not yet' : undefined),
  });
  const first = await startInstallation({ directory, external: outside.port });
  const client = await connectSmtp(first.ready.outbound);
  await client.greet();
  const message = mail({ From: 'alice@alpha.test', To: 'carol@nowhere.test', Subject: 'x' }, 'Hello\n');
  const replies = await client.send({ from: 'alice@alpha.test', to: ['carol@nowhere.test'], message });
  assert.equal(replies.message?.code, 250);

  await first.crash();
  const { redis, ...stages } = first.ready.pids;
  const deadline = performance.now() + 12_000;
  while (Object.values(stages).flat().some(isAlive) && performance.now() < deadline) await sleep(50);
  assert.deepEqual(Object.values(stages).flat().filter(isAlive), []);

  outside.setReply(undefined);
  const second = await startInstallation({ directory, external: outside.port });
  try {
    assert.deepEqual(
      redis.filter(isAlive),
      [],
      'the Redis that was left behind is ended, so that its files have one owner',
    );
    await outside.waitFor(1, 30_000);
  } finally {
    await second.stop();
  }
});
