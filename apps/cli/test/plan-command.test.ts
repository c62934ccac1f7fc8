// `sealpost plan` as a person runs it, its quantities, and its service times from a real Prometheus.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { hasPrometheus, startPrometheus } from '@sealpost/testkit';
import { toBytes, toMix, toRate, toSeconds } from '../src/plan/quantities.ts';
import { recordedTimes } from '../src/plan/recorded.ts';

const command = join(import.meta.dirname, '../src/main.ts');

async function run(...words: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [command, 'plan', ...words]);
    return { code: 0, stdout, stderr };
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string };
  }
}

test('quantities are read as people write them, and nothing else is', () => {
  assert.deepEqual([toRate('300/s'), toRate('3600/h'), toBytes('80KB'), toSeconds('500ms')], [300, 1, 80_000, 0.5]);
  assert.deepEqual([toMix('outbound=0.75'), toMix('inbound=0.25')], [0.75, 0.75]);
  const wrong: readonly (readonly [(text: string) => number, string])[] = [
    [toRate, '300'],
    [toRate, '-1/s'],
    [toRate, '0/s'],
    [toBytes, '80 toString'],
    [toSeconds, '1e99s'],
    [toMix, 'outbound=1.1'],
  ];
  for (const [read, text] of wrong) assert.throws(() => read(text), /Write it as/, text);
});

test('recorded times grow with the size and lie between those of both directions', () => {
  const [small, large] = [recordedTimes(4_000, 0.5), recordedTimes(500_000, 0.5)];
  for (const part of ['ingress', 'redis', 'crypto-worker', 'egress'] as const) {
    assert.ok(large[part] > small[part]);
    const [out, inn] = [recordedTimes(4_000, 1)[part], recordedTimes(4_000, 0)[part]];
    assert.ok(small[part] >= Math.min(out, inn) && small[part] <= Math.max(out, inn));
  }
});

test('a table for people, one value with --json, exit code 1 for what cannot be met', async () => {
  const table = await run('--rate', '300/s', '--size', '80KB', '--mix', 'outbound=0.7', '--p99', '2s');
  assert.equal(table.code, 0);
  assert.match(table.stdout, /^crypto-worker +\d+ +\d+ % /m);
  assert.match(table.stdout, /That meets the target of 2 s\./);

  const given = ['--worker-ms', '10', '--ingress-ms', '2', '--egress-ms', '2', '--redis-ms', '1'];
  const json = await run('--rate', '100/s', ...given, '--json');
  const { met, parts } = JSON.parse(json.stdout);
  assert.equal(met, true);
  const worker = parts.find(({ part }: { part: string }) => part === 'crypto-worker');
  assert.deepEqual([worker.service, worker.processes, worker.utilisation], [0.01, 2, 0.5]);

  const vast = await run('--rate', '5000/s');
  assert.equal(vast.code, 1);
  assert.match(vast.stdout, /One redis does not carry that/);
  assert.equal((await run('--rate', 'fast')).code, 2);
});

test('service times come from the metrics of an installation', async (t) => {
  if (!hasPrometheus()) return t.skip('prometheus (Debian package) is not installed');
  const started = performance.now();
  const installation = createServer((_, response) => {
    const seconds = (performance.now() - started) / 1000;
    const messages = `sealpost_messages_accepted_total{direction="outbound",tenant="a"} ${seconds * 100}\n`;
    const cpu = (role: string, share: number): string =>
      `sealpost_process_cpu_seconds_total{role="${role}"} ${seconds * share}\n`;
    const redis = `sealpost_redis_cpu_seconds_total ${seconds * 0.1}\n`;
    response.end(messages + cpu('ingress', 0.2) + cpu('crypto-worker', 1.2) + cpu('egress', 0.4) + redis);
  }).listen(0, '127.0.0.1');
  await once(installation, 'listening');
  const { port: target } = installation.address() as AddressInfo;
  await using prometheus = await startPrometheus([`127.0.0.1:${target}`], { everyMs: 200 });
  try {
    const ask = () => run('--rate', '100/s', '--json', '--from-prometheus', prometheus.url);
    let answer = await ask();
    // It has to start and to see the counters move.
    for (let tries = 0; answer.code === 1 && answer.stdout === '' && tries < 60; tries++) {
      assert.match(answer.stderr, /does not answer|has seen no mail/);
      await sleep(500);
      answer = await ask();
    }
    const { parts } = JSON.parse(answer.stdout);
    const ms = Object.fromEntries(
      parts.map(({ part, service }: { part: string; service: number }) => [part, Math.round(service * 10_000) / 10]),
    );
    assert.deepEqual([ms.ingress, ms.redis, ms['crypto-worker'], ms.egress], [2, 1, 12, 4]);
  } finally {
    installation.closeAllConnections();
    installation.close();
  }
});
