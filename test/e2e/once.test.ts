// `npm start -- --once --json`: one real message, the whole way round, every step shown.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

const command = join(import.meta.dirname, '../../apps/cli/src/main.ts');

test('one message goes from alice to bob, signed, encrypted, decrypted and verified', () => {
  const run = spawnSync(process.execPath, [command, 'up', '--once', '--json'], { encoding: 'utf8' });
  const result = JSON.parse(run.stdout);
  assert.deepEqual(
    result.steps.map(({ name, ok, detail }: { name: string; ok: boolean; detail: string }) => [
      name,
      ok ? 'ok' : detail,
    ]),
    [
      'accepted',
      'sealed',
      'queued',
      'signed',
      'encrypted',
      'delivered-to-inbound',
      'decrypted',
      'verified',
      'footer',
      'delivered',
    ].map((name) => [name, 'ok']),
  );
  assert.equal(result.ok, true);
  assert.equal(run.status, 0, run.stderr);
});
