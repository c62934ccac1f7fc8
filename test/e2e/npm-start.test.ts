// `npm start` as a supervisor runs it: what npm is told by a signal reaches the gateway, and nothing is left behind.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { isAlive, type Ready } from './installation.ts';

test('SIGTERM to `npm start` ends every process within 10 s', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sealpost-npm-'));
  const npm = spawn('npm', ['start', '--', '--json', '--dir', directory, '--workers', '1'], {
    cwd: join(import.meta.dirname, '../..'),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    const gone = new Promise((resolve) => npm.once('exit', resolve));
    let ready: Ready | undefined;
    for await (const line of createInterface(npm.stdout)) {
      if (!line.startsWith('{')) continue;
      ready = JSON.parse(line);
      break;
    }
    assert.ok(ready);
    const pids = Object.values(ready.pids).flat();
    assert.ok(pids.length === 5 && pids.every(isAlive));
    const started = performance.now();
    npm.kill('SIGTERM');
    await gone;
    assert.ok(performance.now() - started < 10_000);
    assert.deepEqual(pids.filter(isAlive), []);
  } finally {
    npm.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
});
