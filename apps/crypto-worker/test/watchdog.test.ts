// A message that blocks the process for too long ends it; one that only waits, or a process at rest, does not.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';

const module = JSON.stringify(join(import.meta.dirname, '../src/watchdog.ts'));
const limitMs = 400;

/** Runs `work` in a process with a watchdog; its exit code and signal. */
async function run(work: string): Promise<unknown[]> {
  const program = `
    const { watchdog } = await import(${module});
    const guard = watchdog(${limitMs});
    const block = (ms) => { const end = Date.now() + ms; while (Date.now() < end); };
    const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    ${work}
    await guard.stop();
    process.exit(7);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'ignore' });
  return await once(child, 'exit');
}

test('a blocking message ends the process', async () => {
  assert.deepEqual(await run('await wait(200); await guard.watch(async () => block(5_000));'), [null, 'SIGKILL']);
});

test('a message that waits for something does not, nor does work outside of messages', async () => {
  assert.deepEqual(await run('await guard.watch(() => wait(1_200)); block(1_200);'), [7, null]);
});
