// Alerts about keys: each fault is caused on a running gateway, its alert fires, what its runbook says is done, and it ends.

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import type { Installation } from '@sealpost/service';
import { freePort } from '@sealpost/testkit';
import { logged, pause, reconfigure, resume, until } from '../e2e/operating.ts';
import { startWatched, type Watched, where } from './watched.ts';

const command = join(import.meta.dirname, '../../apps/cli/src/main.ts');
type KeyServer = Installation['keyServer'];

let watched: Watched;

before(async () => {
  if (!where.skip) watched = await startWatched();
});

after(() => watched?.[Symbol.asyncDispose]());

/** Restarts the key service with its section changed. */
function serve(change: (keyServer: KeyServer) => Partial<KeyServer> = () => ({})): Promise<void> {
  const changed = ({ keyServer, ...config }: Installation) => ({
    ...config,
    keyServer: { ...keyServer, ...change(keyServer) },
  });
  return reconfigure(watched.gateway, changed, 'keyService');
}

test('SealpostKeyServiceSealed: somebody seals the store', where, async () => {
  const { gateway, fires, ends } = watched;
  await gateway.cli('key-service', 'seal');
  await fires('SealpostKeyServiceSealed');
  const status = (await gateway.cli('key-service', 'status')) as { sealed: boolean };
  assert.equal(status.sealed, true);
  await serve();
  await ends('SealpostKeyServiceSealed');
});

test('SealpostLeaseKept: a worker that holds a key does not answer', where, async () => {
  const { gateway, send, fires, ends } = watched;
  await serve(({ leases }) => ({ leases: { ...leases, acknowledgeSeconds: 1 } }));
  await send('carol@nowhere.test');
  await until('a worker holds the key', async () => {
    const { held } = (await gateway.cli('leases', 'list')) as { held: readonly { leases: number }[] };
    return held.some(({ leases }) => leases > 0) || undefined;
  });
  pause(gateway, 'worker');
  try {
    await gateway.cli('leases', 'revoke', '--key', 'alpha-test/alice%40alpha.test/signing/1');
    await fires('SealpostLeaseKept');
    await until('the audit log tells of it', async () => {
      const { acts } = (await gateway.cli('audit', 'query', '--operation', 'worker-cut-off')) as { acts: unknown[] };
      return acts.length > 0 || undefined;
    });
  } finally {
    resume(gateway, 'worker');
  }
  await ends('SealpostLeaseKept');
});

test('SealpostAuditExportBehind: the collector is away', where, async () => {
  const { gateway, fires, ends } = watched;
  const port = await freePort();
  const target = { name: 'siem', host: '127.0.0.1', port, format: 'json-lines', tls: false } as const;
  await serve(({ audit }) => ({ audit: { ...audit, export: [target] } }));
  await fires('SealpostAuditExportBehind');
  assert.ok(logged(gateway).some(({ event, role }) => event === 'dependency.lost' && role === 'key-service'));
  let received = '';
  const collector = createServer((socket) => {
    socket.on('error', () => undefined).on('data', (text) => (received += text.toString()));
  }).listen(port, '127.0.0.1');
  await once(collector, 'listening');
  try {
    await ends('SealpostAuditExportBehind');
    assert.match(received, /"operation":"lease"/);
  } finally {
    await serve(({ audit }) => ({ audit: { ...audit, export: [] } }));
    collector.close();
  }
});

test('SealpostBackupOld, SealpostBackupDrillOld: no backup can be written, none was rehearsed', where, async () => {
  const { gateway, fires, ends } = watched;
  const quorum = join(gateway.directory, 'quorum');
  const directory = join(gateway.directory, 'backups');
  const recipient = `${quorum}.recipient.json`;
  const make = ['backup', 'quorum', '--needed', '2', '--of', '3', '--out', quorum];
  await promisify(execFile)(process.execPath, [command, ...make]);
  // A file where the directory should be.
  writeFileSync(directory, '');
  await serve(({ backup }) => ({ backup: { ...backup, directory, recipient } }));
  await fires('SealpostBackupOld', 'SealpostBackupDrillOld');
  await assert.rejects(gateway.cli('backup', 'make'), /The directory for backups cannot be written/);
  rmSync(directory);
  mkdirSync(directory, { mode: 0o700 });
  const { file } = (await gateway.cli('backup', 'make')) as { file: string };
  const shares = [1, 3].flatMap((at) => ['--share', `${quorum}.share-${at}.json`]);
  await gateway.cli('backup', 'drill', file, '--recipient', recipient, ...shares);
  await ends('SealpostBackupOld', 'SealpostBackupDrillOld');
});

test(
  'SealpostKeyRotationOverdue, SealpostCertificateEnds: a certificate from elsewhere ends in five days',
  where,
  async () => {
    const { gateway, fires, ends } = watched;
    const alerts = ['SealpostKeyRotationOverdue', 'SealpostCertificateEnds'];
    const passwordFile = join(gateway.directory, 'password');
    writeFileSync(passwordFile, 'secret');
    const openssl = (...args: readonly string[]) =>
      execFileSync('openssl', args, { cwd: gateway.directory, stdio: 'pipe' });

    async function bring(name: string, days: number): Promise<void> {
      const [key, certificate] = [`${name}.key`, `${name}.crt`];
      const subject = ['-subj', '/CN=Dora', '-addext', 'subjectAltName=email:dora@alpha.test', '-days', String(days)];
      openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', certificate, ...subject);
      const file = ['-inkey', key, '-in', certificate, '-out', `${name}.p12`, '-passout', `file:${passwordFile}`];
      openssl('pkcs12', '-export', ...file);
      await gateway.cli('import', '--p12', join(gateway.directory, `${name}.p12`), '--password-file', passwordFile);
      // The service looks at its keys at each start and hourly.
      await serve();
    }
    await bring('short', 5);
    await fires(...alerts);
    const waiting = await gateway.cli('keys', 'list', '--state', 'pre-active');
    assert.match(JSON.stringify(waiting), /dora/, 'its successor waits for a certificate');
    assert.ok(logged(gateway).some(({ event }) => event === 'key.certificate-wanted'));
    await bring('long', 500);
    await ends(...alerts);
  },
);
