// `sealpost doctor`: an installation that is well, and one with a fault in every part, each told with what to do.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Installation } from '@sealpost/service';
import {
  freePort,
  makeTlsFiles,
  type SmtpSink,
  startRedis,
  startSmtpSink,
  temporaryDirectory,
} from '@sealpost/testkit';
import { startInstallation, type TestInstallation } from './installation.ts';
import { configOf } from './operating.ts';

const command = join(import.meta.dirname, '../../apps/cli/src/main.ts');

let gateway: TestInstallation;
let sink: SmtpSink;

before(async () => {
  sink = await startSmtpSink();
  gateway = await startInstallation({ internal: sink.port, external: sink.port });
});

after(async () => {
  await gateway?.stop();
  await sink?.close();
});

interface Finding {
  readonly severity: 'ok' | 'warning' | 'failed';
  readonly what: string;
  readonly text: string;
  readonly remedy?: string;
}

interface Examined {
  readonly code: number;
  readonly stdout: string;
}

function doctor(file: string, ...more: readonly string[]): Promise<Examined> {
  return new Promise((resolve) => {
    execFile(process.execPath, [command, 'doctor', '--config', file, ...more], (error, stdout) => {
      resolve({ code: error ? Number(error.code) : 0, stdout });
    });
  });
}

/** What it says of this installation with some settings changed. */
async function examine(change: (config: Installation) => object): Promise<{ code: number; findings: Finding[] }> {
  const file = join(gateway.directory, 'examined.yaml');
  writeFileSync(file, JSON.stringify({ ...configOf(gateway), ...change(configOf(gateway)) }));
  const { code, stdout } = await doctor(file, '--json');
  const { ok, findings } = JSON.parse(stdout) as { ok: boolean; findings: Finding[] };
  assert.equal(ok, code === 0);
  for (const { severity, text, remedy } of findings) assert.equal(remedy === undefined, severity === 'ok', text);
  return { code, findings };
}

const about = (findings: readonly Finding[], what: string): string[] =>
  findings.filter((each) => each.what === what).map(({ severity, text }) => `${severity}: ${text}`);

test('a running installation is well; what makes it one for development is a warning', async () => {
  const { code, findings } = await examine(() => ({}));
  const bad = findings.filter(({ severity }) => severity === 'failed');
  assert.deepEqual([code, bad], [0, []]);
  assert.match(about(findings, 'redis').join(), /^ok: /);
  assert.match(about(findings, 'key service').join(), /^ok: open,warning: .*development/);
  assert.match(about(findings, 'egress.routes[0].nextHop').join(), /^warning: .*offers no STARTTLS/);
  assert.match(about(findings, 'ingress.outbound.listen').join(), /^ok: .*offers STARTTLS/);
});

test('without --json it is a table, and a list of what to do', async () => {
  const { code, stdout } = await doctor(join(gateway.directory, 'config.yaml'));
  assert.equal(code, 0);
  assert.match(stdout, /\nok +redis +127\.0\.0\.1:\d+ keeps what it acknowledges\n/);
  assert.match(stdout, /\nWhat to do:\n- /);
});

test('every part of a broken installation is named', async () => {
  await using directory = await temporaryDirectory();
  await using forgetful = await startRedis({ settings: { appendfsync: 'everysec' } });
  const [one, other] = [
    await makeTlsFiles(directory.path, { prefix: 'one' }),
    await makeTlsFiles(directory.path, { prefix: 'other' }),
  ];
  const shared = join(directory.path, 'shared');
  copyFileSync(one.keyFile, shared);
  chmodSync(shared, 0o644);
  const closed = { host: '127.0.0.1', port: await freePort() };
  const route = configOf(gateway).egress.routes[0];

  const { code, findings } = await examine(({ redis, blobs, keyService, egress, ingress, log }) => ({
    redis: { ...redis, host: forgetful.host, port: forgetful.port },
    blobs: { ...blobs, directory: join(directory.path, 'nowhere') },
    keyService: { ...keyService, url: `https://127.0.0.1:${closed.port}` },
    log: { ...log, hashKeyFile: shared },
    egress: {
      ...egress,
      routes: [
        { ...route, name: 'closed', nextHop: closed },
        { ...route, name: 'plain', nextHop: { host: '127.0.0.1', port: sink.port }, tls: 'required' },
        { ...route, name: 'unknown', nextHop: { host: 'no-such-host.invalid', port: 25 } },
      ],
    },
    ingress: { ...ingress, tls: { certificateFile: one.certificateFile, keyFile: other.keyFile } },
  }));

  assert.equal(code, 1);
  assert.match(about(findings, 'redis').join(), /^failed: .*appendfsync is "everysec"/);
  assert.match(about(findings, 'blobs.directory').join(), /^failed: .*cannot be written/);
  assert.match(about(findings, 'key service').join(), /^failed: /);
  assert.match(about(findings, 'log.hashKeyFile').join(), /^failed: .*read by others \(mode 0644\)/);
  assert.match(about(findings, 'ingress.tls').join(), /^failed: .*is not the key of/);
  assert.match(about(findings, 'egress.routes[0].nextHop').join(), /^failed: .*does not answer/);
  assert.match(about(findings, 'egress.routes[1].nextHop').join(), /^failed: .*no STARTTLS/);
  assert.match(about(findings, 'egress.routes[2].nextHop').join(), /^failed: .*not in the DNS/);
});

test('a next hop that takes the connection and says nothing does not hold it up', async () => {
  await using mute = await startSmtpSink({ reply: () => new Promise(() => undefined) });
  const started = performance.now();
  const { findings } = await examine(({ egress }) => ({
    egress: { ...egress, routes: [{ ...egress.routes[0], nextHop: { host: '127.0.0.1', port: mute.port } }] },
  }));
  assert.match(about(findings, 'egress.routes[0].nextHop').join(), /^failed: .*The deadline passed/);
  assert.ok(performance.now() - started < 30_000);
});
