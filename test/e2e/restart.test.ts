// SIGTERM and a new start on the same directory: within ten seconds, with mail, keys and ports intact.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { connectSmtp, startSmtpSink } from '@sealpost/testkit';
import { isAlive, startInstallation } from './installation.ts';
import { mail } from './partner.ts';

const directory = mkdtempSync(join(tmpdir(), 'sealpost-restart-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const message = mail({ From: 'alice@alpha.test', To: 'carol@nowhere.test', Subject: 'x' }, 'Hello\n');
test('it stops within 10 s, aborts what has no final dot, and starts again with mail and keys', async () => {
  await using outside = await startSmtpSink({
    reply: ({ stage }) => (stage === 'rcpt' ? '451 4.7.1 Not yet' : undefined),
  });
  const first = await startInstallation({ directory, external: outside.port });
  await first.cli('identity', 'add', 'alice@alpha.test');
  const client = await connectSmtp(first.ready.outbound);
  await client.greet();
  const replies = await client.send({ from: 'alice@alpha.test', to: ['carol@nowhere.test'], message });
  assert.equal(replies.message?.code, 250);

  const hanging = await connectSmtp(first.ready.outbound);
  await hanging.greet();
  await hanging.command('MAIL FROM:<alice@alpha.test>');
  await hanging.command('RCPT TO:<dave@nowhere.test>');
  await hanging.command('DATA');
  await hanging.write('From: alice@alpha.test\r\n\r\nnever finished');

  const took = await first.stop();
  assert.ok(took < 10_000, `it took ${took} ms`);
  await hanging.closed;
  for (const pid of Object.values(first.ready.pids).flat()) assert.ok(!isAlive(pid), `process ${pid} is gone`);

  outside.setReply(undefined);
  const second = await startInstallation({ directory, external: outside.port });
  try {
    assert.equal(second.ready.outbound.port, first.ready.outbound.port);
    const [taken, ...others] = await outside.waitFor(1, 30_000);
    assert.ok(taken);
    assert.deepEqual(others, []);
    assert.deepEqual(
      taken.recipients.map(({ address }) => address),
      ['carol@nowhere.test'],
    );
    assert.match(taken.message.toString(), /multipart\/signed/);
    const identities = (await second.cli('identity', 'list')) as { address: string }[];
    assert.deepEqual(
      identities.map(({ address }) => address),
      ['alice@alpha.test'],
    );
  } finally {
    await second.stop();
  }
});

test('a second gateway on the same directory is refused in words', async () => {
  const first = await startInstallation({ directory });
  try {
    await assert.rejects(startInstallation({ directory }), /is in use by the process [0-9]+; stop that one/);
  } finally {
    await first.stop();
  }
});
