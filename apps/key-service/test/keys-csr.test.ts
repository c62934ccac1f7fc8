// A key whose certificate comes from elsewhere: the successor waits, its request goes to an authority (OpenSSL), and what that issues
// puts it into use. By the command line, as the runbook of SealpostKeyRotationOverdue has it.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type KeyId, tenantId } from '@sealpost/core';
import { findActs, KeyFault } from '@sealpost/service';
import { makePrivateKey } from '../src/store/make-key.ts';
import { readSlotFile } from '../src/vault/slot-file.ts';
import { withStore } from './people.ts';
import { type RunningKeyService, runKeyService } from './running-key-service.ts';

const cli = join(import.meta.dirname, '../../cli/src/main.ts');
const address = 'alice@alpha.test';
const version = (use: string, number: number) => `alpha/alice%40alpha.test/${use}/${number}` as KeyId;
const isFault = (code: string) => (error: unknown) => error instanceof KeyFault && error.code === code;

let service: RunningKeyService;
before(async () => {
  service = await runKeyService({
    prepare: (directory, config) =>
      withStore(config, readSlotFile(join(directory, 'root')).bytes, async ({ keys }) => {
        const privateKey = await makePrivateKey('x25519');
        const tenant = tenantId('alpha');
        await keys.add({ tenant, identity: 'x@alpha.test', use: 'decryption', privateKey, state: 'pre-active' });
      }),
  });
  openssl('req', '-x509', ...newKey('ca'), '-subj', '/CN=Elsewhere CA', '-days', '30');
  openssl(
    'req',
    '-new',
    ...newKey('first'),
    '-subj',
    `/O=Alpha/CN=Alice`,
    '-addext',
    `subjectAltName=email:${address}`,
  );
  issue('first');
});
after(() => service[Symbol.asyncDispose]());

const at = (name: string): string => join(service.directory, name);

function openssl(...args: readonly string[]): string {
  return execFileSync('openssl', args, { cwd: service.directory, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function newKey(name: string): string[] {
  return [
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    at(`${name}.key`),
    '-out',
    at(name === 'ca' ? 'ca.pem' : `${name}.csr`),
  ];
}

/** The authority takes what stands in the request. */
function issue(name: string): void {
  const ca = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days', '20'];
  openssl('x509', '-req', '-in', at(`${name}.csr`), '-copy_extensions', 'copyall', ...ca, '-out', at(`${name}.pem`));
}

function sealpost(...args: readonly string[]): string {
  const run = spawnSync(process.execPath, [cli, ...args, '--config', service.configFile], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
  return run.stdout;
}

async function states(use: string): Promise<string[]> {
  const { keys } = await service.call('operator').call('keys-list', { tenant: 'alpha', identity: address });
  return keys.filter((key) => key.use === use).map(({ version: number, state }) => `${number} ${state}`);
}

test('the successor waits, asks for its certificate, and is in use when that comes', async () => {
  sealpost('import', '--cert', at('first.pem'), '--key', at('first.key'), '--tenant', 'alpha');
  assert.deepEqual(await states('signing'), ['1 active']);
  sealpost('keys', 'rotate', address);
  assert.deepEqual(await states('signing'), ['2 pre-active', '1 active']);
  sealpost('keys', 'csr', version('signing', 2), '--out', at('second.csr'));
  const text = openssl('req', '-in', at('second.csr'), '-verify', '-noout', '-text');
  assert.match(text, /Subject: O ?= ?Alpha, CN ?= ?Alice/);
  assert.match(text, /email:alice@alpha\.test/);
  // One key for both uses, as the certificate before.
  assert.match(text, /Digital Signature, Key Encipherment/);
  issue('second');
  sealpost('import', '--cert', at('second.pem'), '--tenant', 'alpha');
  for (const use of ['signing', 'decryption']) assert.deepEqual(await states(use), ['2 active', '1 active']);
  const { records } = await service.call('crypto-worker').call('certificates', { tenant: 'alpha', address });
  const pem = readFileSync(at('second.pem'), 'utf8').replace(/-.*-|\s/g, '');
  assert.equal(records.find(({ keyId }) => keyId === version('signing', 2))?.certificate.toString('base64'), pem);
  const { acts } = await findActs(service.config.keyServer.audit.file, { operation: 'keys-csr' });
  assert.deepEqual(
    acts.map(({ key, name, result }) => [key?.split('/').slice(2).join('/'), name, result]),
    [['signing/2', 'default', 'ok']],
  );
});

test('only a key that waits signs a request, and only for who may ask', async () => {
  const { call } = service.call('operator');
  const csr = (keyId: string) => call('keys-csr', { keyId });
  await assert.rejects(csr(version('signing', 1)), isFault('key-state'));
  await assert.rejects(csr(version('signing', 9)), isFault('not-found'));
  await assert.rejects(csr('nonsense'), isFault('request-malformed'));
  await assert.rejects(csr('alpha/stage.crypto/spool/1'), isFault('key-state'));
  await assert.rejects(csr('alpha/x%40alpha.test/decryption/1'), isFault('key-cannot-sign'));
  const worker = service.call('crypto-worker');
  await assert.rejects(worker.call('keys-csr', { keyId: version('signing', 1) }), isFault('forbidden'));
});
