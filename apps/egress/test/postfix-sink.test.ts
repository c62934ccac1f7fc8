// Postfix's own test server as the next hop: an SMTP implementation that is not ours.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, temporaryDirectory } from '@sealpost/testkit';
import { mail, rig } from './rig.ts';

const program = ['/usr/sbin/smtp-sink', '/usr/bin/smtp-sink'].find(existsSync);
const skip = program ? false : 'smtp-sink is not installed (Debian: apt-get install postfix)';

interface Sink extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** What it wrote down, without its own lines, line ends LF. */
  messages(): string[];
}

async function startSink(...options: string[]): Promise<Sink> {
  const directory = await temporaryDirectory();
  chmodSync(directory.path, 0o777);
  const port = await freePort();
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
  const dump = ['-d', join(directory.path, 'mail.')];
  const child: ChildProcess = spawn(program ?? '', [...user, ...dump, ...options, `127.0.0.1:${port}`, '10'], {
    stdio: 'ignore',
  });
  while (!(await answers(port))) await sleep(20);
  return {
    host: '127.0.0.1',
    port,
    messages: () => readdirSync(directory.path).map((name) => readFileSync(join(directory.path, name), 'utf8')),
    async [Symbol.asyncDispose]() {
      child.kill();
      await once(child, 'exit');
      await directory.remove();
    },
  };
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  return once(socket, 'connect')
    .then(
      () => true,
      () => false,
    )
    .finally(() => socket.destroy());
}

test('it takes what we send, byte for byte, pipelined or not', { skip }, async () => {
  for (const options of [[], ['-p'], ['-e'], ['-8']]) {
    await using sink = await startSink(...options);
    await using egress = rig({ routes: [{ nextHop: sink }] });
    const message = Buffer.from(`${mail}.\r\n..dots\r\n${'x'.repeat(900)}\r\n`.repeat(1));
    assert.equal((await egress.run(await egress.post({ message }))).kind, 'done', options.join());
    const [taken] = sink.messages();
    assert.ok(taken?.includes(message.toString().replaceAll('\r\n', '\n')), options.join());
  }
});

test('its refusals defer and its hard refusals bounce, at every command', { skip }, async () => {
  for (const command of ['mail', 'rcpt', 'data', '.']) {
    await using soft = await startSink('-r', command);
    await using waiting = rig({ routes: [{ nextHop: soft }] });
    const outcome = await waiting.run(await waiting.post());
    assert.ok(outcome.kind === 'later' && outcome.code === 'next-hop-deferred', `soft ${command}`);

    await using hard = await startSink('-f', command);
    await using bouncing = rig({ routes: [{ nextHop: hard }] });
    assert.equal((await bouncing.run(await bouncing.post())).kind, 'done', `hard ${command}`);
    assert.equal(bouncing.published.length, 1, `hard ${command}`);
  }
});

test('it hangs up at every command, and the mail waits', { skip }, async () => {
  for (const command of ['connect', 'ehlo', 'mail', 'rcpt', 'data', '.']) {
    await using sink = await startSink('-q', command);
    await using egress = rig({ routes: [{ nextHop: sink }] });
    const outcome = await egress.run(await egress.post());
    assert.equal(outcome.kind, 'later', command);
    assert.deepEqual(egress.published, [], command);
  }
});
