// `sealpost doctor`: an installation that is well, and one with a fault in every part, each told with what to do.

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
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
  assert.match(about(findings, 'redis user default').join(), /^ok: /);
  assert.match(about(findings, 'redis memory').join(), /^ok: /);
  assert.match(about(findings, 'clock').join(), /^ok: /);
  assert.match(about(findings, 'installation').join(), /^warning: .*not in the DNS/);
  assert.match(about(findings, 'machine').join(), /ok: core dumps hold no memory of the gateway/);
  assert.match(about(findings, 'keyServer.backup').join(), /^warning: no backups/);
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

test('Redis: user `default` off, no limit of memory, half full, not ours to ask', async () => {
  await using directory = await temporaryDirectory();
  const passwordFile = join(directory.path, 'password');
  writeFileSync(passwordFile, 'secret', { mode: 0o600 });
  await using redis = await startRedis();
  const tell = (...words: readonly string[]): string =>
    execFileSync('redis-cli', ['-p', String(redis.port), '--user', 'admin', '--pass', 'secret', ...words], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  const settings = { host: redis.host, port: redis.port, passwordFile };
  const asked = async (username: string): Promise<string> => {
    const { findings } = await examine(({ redis: before }) => ({ redis: { ...before, ...settings, username } }));
    const of = ['redis', 'redis user default', 'redis memory'];
    return of.flatMap((what) => about(findings, what)).join('\n');
  };
  execFileSync('redis-cli', [
    '-p',
    String(redis.port),
    'ACL',
    'SETUSER',
    'admin',
    'on',
    '>secret',
    '~*',
    '&*',
    '+@all',
  ]);
  tell('ACL', 'SETUSER', 'sealpost', 'on', '>secret', '~*', '&*', '+@all', '-@dangerous', '+info', '+config|get');
  assert.match(await asked('sealpost'), /^ok: .*\nwarning: .*may not ask.*\nwarning: there is no `maxmemory`/);

  tell('ACL', 'SETUSER', 'default', 'off');
  tell('CONFIG', 'SET', 'maxmemory', '1500000');
  assert.match(await asked('admin'), /^ok: .*\nfailed: .*forgets accepted mail.*\nwarning: \d\d+ % of 1 MiB used/);

  tell('ACL', 'SETUSER', 'default', 'on', '-@dangerous');
  assert.match(await asked('admin'), /failed: .*lacks rights/);
});

test('permissions, ends of certificates, a port that another program has, a limit of files', async () => {
  await using directory = await temporaryDirectory();
  await using foreign = await startSmtpSink({ reply: ({ stage }) => (stage === 'ehlo' ? '250 foreign' : undefined) });
  const open = join(directory.path, 'open');
  mkdirSync(open);
  chmodSync(open, 0o777);
  const ended = await makeTlsFiles(directory.path, { prefix: 'ended', days: -1 });
  const { findings } = await examine(({ blobs, ingress, keyServer, egress }) => ({
    blobs: { ...blobs, directory: open },
    keyServer: { ...keyServer, backup: { directory: open, recipient: join(directory.path, 'no-quorum') } },
    egress: { ...egress, routes: [] },
    ingress: {
      ...ingress,
      inbound: { ...ingress.inbound, listen: { host: '127.0.0.1', port: foreign.port }, startTls: 'offered' },
      tls: { certificateFile: ended.certificateFile, keyFile: ended.keyFile },
    },
  }));
  assert.match(about(findings, 'blobs.directory').join(), /^warning: .*open to everybody \(mode 0777\)/);
  assert.match(about(findings, 'keyServer.backup').join(), /^failed: .*no-quorum is not there or empty/);
  assert.match(about(findings, 'ingress.tls').join(), /^failed: .* ended \d+ days ago/);
  assert.match(about(findings, 'ingress.inbound.listen').join(), /^failed: .*offers no STARTTLS/);
  assert.match(about(findings, 'egress.routes').join(), /^failed: there is none/);

  const limited = `ulimit -n 1024; exec "$0" "$@"`;
  const words = [command, 'doctor', '--config', join(gateway.directory, 'config.yaml')];
  const { stdout: said } = await promisify(execFile)('sh', ['-c', limited, process.execPath, ...words]);
  assert.match(said, /^warning +machine +a process may open 1024 files only$/m);
  assert.match(said, /^- machine: raise it to 4096/m);
});

test('the certificate of a next hop is judged as a delivery would', async () => {
  await using directory = await temporaryDirectory();
  const { ca, cert, key } = await makeTlsFiles(directory.path);
  await using hop = await startSmtpSink({ tls: { cert, key } });
  const caFile = join(directory.path, 'the-ca.pem');
  writeFileSync(caFile, ca);
  const { findings } = await examine(({ egress }) => {
    const route = { ...egress.routes[0], nextHop: { host: '127.0.0.1', port: hop.port }, tls: 'verified' };
    return {
      egress: {
        ...egress,
        routes: [
          { ...route, name: 'unknown', caFile: undefined },
          { ...route, name: 'known', caFile },
          { ...route, name: 'other', caFile, serverName: 'elsewhere.test' },
        ],
      },
    };
  });
  assert.match(about(findings, 'egress.routes[0].nextHop').join(), /^failed: TLS with .*certificate/);
  assert.match(about(findings, 'egress.routes[1].nextHop').join(), /^ok: /);
  assert.match(about(findings, 'egress.routes[2].nextHop').join(), /^failed: TLS with .*elsewhere\.test/);
});

test('a machine is asked for the files of its own roles only', async () => {
  await using directory = await temporaryDirectory();
  const { findings } = await examine(({ keyService, ...rest }) => {
    for (const name of ['operator.crt', 'operator.key'])
      copyFileSync(join(keyService.credentials, name), join(directory.path, name));
    return {
      ...rest,
      keyService: { ...keyService, credentials: directory.path },
      log: { ...rest.log, hashKeyFile: join(directory.path, 'elsewhere') },
      ingress: { ...rest.ingress, tls: { certificateFile: '/elsewhere/crt', keyFile: '/elsewhere/key' } },
      keyServer: { ...rest.keyServer, slot: { kind: 'file', file: '/elsewhere/slot' }, directory: '/elsewhere' },
    };
  });
  assert.deepEqual(
    findings.filter(({ severity }) => severity === 'failed'),
    [],
  );
  assert.deepEqual(about(findings, 'egress.routes[0].nextHop'), []);
  assert.match(about(findings, 'credential operator').join(), /^ok: /);
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
