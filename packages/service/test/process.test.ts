// The life of a process, with real processes and signals: start, readiness, drain within a deadline, and ends that are not orderly.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, startOtlpReceiver, temporaryDirectory } from '@sealpost/testkit';
import { minimalExample } from '../src/index.ts';

const directory = await temporaryDirectory();
after(() => directory.remove());
const configFile = join(directory.path, 'sealpost.yaml');
await writeFile(configFile, minimalExample);

interface Line {
  readonly event: string;
  readonly port?: number;
  readonly durationMs?: number;
}

function start(mode = '', args: readonly string[] = ['--config', configFile, '--http-port', '0']) {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'process.ts'), ...args], {
    env: { ...process.env, MODE: mode },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  after(() => child.kill('SIGKILL'));
  const output = { text: '', errors: '' };
  child.stdout.on('data', (bytes) => (output.text += String(bytes)));
  child.stderr.on('data', (bytes) => (output.errors += String(bytes)));
  const exited = once(child, 'close').then(([code]) => code as number | null);
  const lines = (): Line[] =>
    output.text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  async function waitFor(event: string): Promise<Line> {
    for (let tries = 0; tries < 1_000; tries++) {
      const found = lines().find((line) => line.event === event);
      if (found) return found;
      await sleep(10);
    }
    throw new Error(`${event} did not come: ${output.text}${output.errors}`);
  }
  const status = async (path: string) => {
    const { port } = await waitFor('process.started');
    return (await fetch(`http://127.0.0.1:${port}${path}`)).status;
  };
  return { child, exited, lines, output, waitFor, status };
}

test('it is live while it starts, ready when it has started', async () => {
  const hanging = start('start-hangs');
  assert.deepEqual([await hanging.status('/live'), await hanging.status('/ready')], [200, 503]);
  hanging.child.kill('SIGKILL');
  const service = start();
  const { port } = await service.waitFor('process.ready');
  assert.equal(await service.status('/ready'), 200);
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  assert.match(metrics, /^sealpost_events_total\{event="process\.ready"\} 1$/m);
  assert.match(metrics, /^sealpost_event_loop_lag_seconds [0-9.e-]+$/m);
  service.child.kill('SIGTERM');
  assert.equal(await service.exited, 0);
});

test('SIGTERM: not ready at once, work finished, then an orderly end', async () => {
  const service = start('stop-slow');
  await service.waitFor('process.ready');
  service.child.kill('SIGTERM');
  await service.waitFor('process.draining');
  assert.equal(await service.status('/ready'), 503);
  assert.equal(await service.status('/live'), 200);
  assert.equal(await service.exited, 0);
  assert.deepEqual(
    service.lines().map(({ event }) => event),
    ['process.started', 'process.ready', 'process.draining', 'job.later', 'delivery.delivered', 'process.stopped'],
  );
  assert.ok((service.lines().at(-1)?.durationMs ?? 0) >= 590);
});

test('SIGINT drains as well', async () => {
  const service = start();
  await service.waitFor('process.ready');
  service.child.kill('SIGINT');
  assert.equal(await service.exited, 0);
});

test('a second signal ends it at once', async () => {
  const service = start('stop-hangs');
  await service.waitFor('process.ready');
  service.child.kill('SIGTERM');
  await service.waitFor('process.draining');
  service.child.kill('SIGTERM');
  assert.equal(await service.exited, 143);
});

test('work that does not end is left after the deadline', async () => {
  const service = start('stop-hangs');
  await service.waitFor('process.ready');
  const started = performance.now();
  service.child.kill('SIGTERM');
  assert.equal(await service.exited, 1);
  const seconds = (performance.now() - started) / 1_000;
  assert.ok(seconds > 7 && seconds < 10, `${seconds} s`);
});

test('a signal during a start that hangs ends it soon', async () => {
  const service = start('start-hangs');
  await service.waitFor('process.started');
  const started = performance.now();
  service.child.kill('SIGTERM');
  assert.equal(await service.exited, 1);
  assert.ok(performance.now() - started < 4_000);
});

for (const mode of ['throws', 'rejects', 'start-fails', 'stop-fails']) {
  test(`${mode}: a constant event, exit code 1, and none of the error's words`, async () => {
    const service = start(mode);
    if (mode === 'stop-fails') {
      await service.waitFor('process.ready');
      service.child.kill('SIGTERM');
    }
    assert.equal(await service.exited, 1);
    assert.ok(service.lines().some(({ event }) => event === 'process.failed'));
    assert.doesNotMatch(service.output.text + service.output.errors, /alice|secret/);
  });
}

test('a start that fails ends soon, with the port free again', async () => {
  const service = start('start-fails');
  assert.equal(await service.exited, 1);
  const { port } = await service.waitFor('process.started');
  await assert.rejects(fetch(`http://127.0.0.1:${port}/live`));
});

test('--check-config says whether the file is sound and starts nothing', async () => {
  const sound = start('', ['--config', configFile, '--check-config']);
  assert.equal(await sound.exited, 0);
  assert.equal(sound.output.text, `${configFile}: ok\n`);

  const broken = join(directory.path, 'broken.yaml');
  await writeFile(broken, `${minimalExample}redsi: {}\n`);
  for (const args of [
    ['--config', broken, '--check-config'],
    ['--config', broken],
  ]) {
    const service = start('', args);
    assert.equal(await service.exited, 78);
    assert.equal(service.output.errors, `${broken}:23:1: redsi: unknown key; did you mean "redis"?\n`);
    assert.equal(service.output.text, '');
  }
});

test('a command line that cannot be read is told with the usage', async () => {
  for (const args of [[], ['--config', configFile, '--http-port', '99999'], ['--nonsense']]) {
    const service = start('', args);
    assert.equal(await service.exited, 64);
    assert.match(service.output.errors, /Usage: main\.ts --config FILE/);
  }
});

test('the collector gets the last spans before the process ends', async () => {
  await using receiver = await startOtlpReceiver();
  const file = join(directory.path, 'traced.yaml');
  await writeFile(file, `${minimalExample}telemetry: {otlpUrl: '${receiver.url}'}\n`);
  const service = start('traced', ['--config', file, '--http-port', '0']);
  await service.waitFor('process.ready');
  service.child.kill('SIGTERM');
  assert.equal(await service.exited, 0);
  const [span] = await receiver.waitFor((spans) => spans.length === 1, 1_000);
  assert.equal(span?.name, 'egress.deliver');
});

test('a collector that is away does not make an orderly end look like a failure', async () => {
  const file = join(directory.path, 'untraced.yaml');
  await writeFile(file, `${minimalExample}telemetry: {otlpUrl: 'http://127.0.0.1:${await freePort()}/v1/traces'}\n`);
  const service = start('traced', ['--config', file, '--http-port', '0']);
  await service.waitFor('process.ready');
  service.child.kill('SIGTERM');
  assert.equal(await service.exited, 0);
});
