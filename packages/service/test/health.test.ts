// Health and metrics over real HTTP.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { type HealthChecks, startHealth } from '../src/health.ts';
import { startTelemetry } from '../src/index.ts';

async function healthWith(changes: Partial<HealthChecks> = {}) {
  const telemetry = startTelemetry({ sampleRatio: 1 }, { role: 'egress', instance: 'e-1' });
  const { answerScrape } = telemetry;
  const checks = { isLive: () => true, isReady: () => true, answerScrape, ...changes };
  const health = await startHealth({ host: '127.0.0.1', port: 0 }, checks);
  const ask = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${health.port}${path}`, init);
  return {
    telemetry,
    ask,
    port: health.port,
    async [Symbol.asyncDispose]() {
      await health.close();
      await telemetry.close();
    },
  };
}

test('/live and /ready tell apart what is asked', async () => {
  await using health = await healthWith({ isReady: async () => false });
  const [live, ready] = [await health.ask('/live'), await health.ask('/ready')];
  assert.deepEqual([live.status, await live.json()], [200, { live: true }]);
  assert.deepEqual([ready.status, await ready.json()], [503, { ready: false }]);
});

test('a check that throws or hangs is a no', async () => {
  await using health = await healthWith({
    isLive: () => Promise.reject(new Error('secret words')),
    isReady: () => new Promise(() => undefined),
  });
  const live = await health.ask('/live');
  assert.equal(live.status, 503);
  assert.doesNotMatch(await live.text(), /secret/);
  assert.equal((await health.ask('/ready')).status, 503);
});

test('other paths and methods are refused, and garbage does no harm', async () => {
  await using health = await healthWith();
  assert.equal((await health.ask('/')).status, 404);
  assert.equal((await health.ask('/live?x')).status, 404);
  assert.equal((await health.ask('/live', { method: 'POST', body: 'x'.repeat(100_000) })).status, 405);
  const socket = connect(health.port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write('\0\0\0 garbage\r\n\r\n');
  await once(socket, 'close');
  assert.equal((await health.ask('/live')).status, 200);
});

test('a port in use is an error, not a hanging start', async () => {
  await using health = await healthWith();
  const checks = { isLive: () => true, isReady: () => true, answerScrape: health.telemetry.answerScrape };
  await assert.rejects(startHealth({ host: '127.0.0.1', port: health.port }, checks), { code: 'EADDRINUSE' });
});

test('counters, histograms and gauges appear with their labels', async () => {
  await using health = await healthWith();
  const { telemetry } = health;
  telemetry.count('sealpost_messages_accepted_total', { direction: 'outbound', tenant: 'alpha' });
  telemetry.count('sealpost_messages_accepted_total', { direction: 'outbound', tenant: 'alpha' }, 2);
  telemetry.observe('sealpost_step_seconds', 0.003, { step: 'egress.send' });
  telemetry.gauge('sealpost_key_leases', () => 5);
  telemetry.gauge('sealpost_queue_jobs', async () => [
    { value: 7, labels: { stage: 'crypto', state: 'waiting' } },
    { value: 0, labels: { stage: 'crypto', state: 'failed' } },
  ]);
  const text = await (await health.ask('/metrics')).text();
  for (const line of [
    'sealpost_messages_accepted_total{direction="outbound",tenant="alpha"} 3',
    'sealpost_step_seconds_bucket{step="egress.send",le="0.0025"} 0',
    'sealpost_step_seconds_bucket{step="egress.send",le="0.005"} 1',
    'sealpost_step_seconds_count{step="egress.send"} 1',
    'sealpost_key_leases 5',
    'sealpost_queue_jobs{stage="crypto",state="waiting"} 7',
    'sealpost_queue_jobs{stage="crypto",state="failed"} 0',
  ]) {
    assert.ok(text.split('\n').includes(line), `${line} is not in\n${text}`);
  }
});

test('a gauge that fails or hangs leaves its values out and the others stay', async () => {
  await using health = await healthWith();
  health.telemetry.gauge('sealpost_key_leases', () => Promise.reject(new Error('away')));
  health.telemetry.gauge('sealpost_ingress_bytes_in_flight', () => new Promise(() => undefined));
  health.telemetry.gauge('sealpost_key_store_open', () => 1);
  const response = await health.ask('/metrics');
  const text = await response.text();
  assert.equal(response.status, 200);
  assert.match(text, /^sealpost_key_store_open 1$/m);
  assert.doesNotMatch(text, /^sealpost_key_leases /m);
});

test('promtool finds nothing to say about the metrics', async (t) => {
  if (spawnSync('promtool', ['--version']).error)
    return t.skip('promtool (Debian package prometheus) is not installed');
  await using health = await healthWith();
  const { telemetry } = health;
  telemetry.count('sealpost_messages_refused_total', { direction: 'inbound', code: 'bare-newline' });
  telemetry.observe('sealpost_message_seconds', 3, { direction: 'inbound' });
  telemetry.gauge('sealpost_key_store_open', () => 1);
  const input = await (await health.ask('/metrics')).text();
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' });
  assert.deepEqual([status, stdout, stderr], [0, '', '']);
});
