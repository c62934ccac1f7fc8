// `sealpost keys` on the running service: what a step means for who asks for a key, what the log says of it, and what a crash leaves.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { codeOf, encodeEnvelope, type TicketSigner } from '@sealpost/core';
import { ephemeralBytes, findActs, verifyLog } from '@sealpost/service';
import { type RunningKeyService, runKeyService, ticketFor } from './running-key-service.ts';

const cli = join(import.meta.dirname, '../../cli/src/main.ts');
const version = (number: number): string => `alpha/alice%40alpha.test/signing/${number}`;

let service: RunningKeyService;
let signer: TicketSigner;

before(async () => {
  // The worker of this test never says that what was called back is gone; it is not cut off before the end.
  service = await runKeyService({ keyServer: { leases: { acknowledgeSeconds: 60 } } });
  await service.call('operator').call('identity-add', { address: 'alice@alpha.test', algorithm: 'p-256' });
  signer = await service.as('ingress').ticketSigner();
});

after(() => service[Symbol.asyncDispose]());

function keys(...args: readonly string[]) {
  return sealpost('keys', ...args);
}

function sealpost(...args: readonly string[]) {
  const env = {
    ...process.env,
    NODE_COMPILE_CACHE: join(import.meta.dirname, '../../../node_modules/.cache/node-compile'),
  };
  const run = spawnSync(process.execPath, [cli, ...args, '--config', service.configFile, '--json'], {
    encoding: 'utf8',
    env,
  });
  return { ...run, json: run.status === 0 ? JSON.parse(run.stdout) : undefined };
}

/** `ok`, or the code with which a worker is refused. */
async function lease(keyId: string): Promise<string> {
  const { ticket, envelope } = ticketFor(signer);
  const ephemeral = ephemeralBytes(generateKeyPairSync('x25519').publicKey);
  const request = { instance: 'w1', keyId, ephemeral, ticket, envelope: encodeEnvelope(envelope) };
  return await service
    .call('crypto-worker')
    .call('lease', request)
    .then(() => 'ok', codeOf);
}

async function signingVersions(): Promise<string[]> {
  const { records } = await service
    .call('crypto-worker')
    .call('certificates', { tenant: 'alpha', address: 'alice@alpha.test' });
  return records.flatMap(({ keyId }) => (keyId?.includes('/signing/') ? [keyId] : []));
}

test('a rotation gives the next version and its certificate; suspended it is not lent, and the one before signs', async () => {
  assert.deepEqual(
    keys('rotate', 'alice@alpha.test', '--use', 'signing').json.map(({ keyId, state }: Record<string, string>) => [
      keyId,
      state,
    ]),
    [[version(2), 'active']],
  );
  assert.deepEqual(await signingVersions(), [version(2), version(1)]);
  assert.deepEqual([await lease(version(2)), await lease(version(1))], ['ok', 'ok']);
  assert.equal(keys('suspend', version(2)).json[0].state, 'suspended');
  assert.deepEqual(await signingVersions(), [version(1)]);
  assert.deepEqual([await lease(version(2)), await lease(version(1))], ['key-denied', 'ok']);
});

test('a step that does not lead from here, a key that is none and one of another tenant are told', async () => {
  assert.match(keys('suspend', version(2)).stderr, /state from which this step does not lead/);
  assert.match(keys('resume', version(9)).stderr, /no such thing/);
  assert.match(keys('resume', '../../etc/passwd').stderr, /form/);
  assert.match(keys('deactivate', 'alpha/stage.crypto/spool/1').stderr, /rotate it first/);
});

test('SIGKILL right after the answer: the step holds, and the log says who took it', async () => {
  assert.equal(keys('compromise', version(2)).json[0].state, 'compromised');
  await service.end('SIGKILL');
  await service.start();
  const listed = keys('list', '--identity', 'alice@alpha.test').json as {
    keyId: string;
    state: string;
    nextRotation?: string;
  }[];
  assert.deepEqual(
    listed.filter(({ keyId }) => keyId.includes('/signing/')).map(({ keyId, state }) => [keyId, state]),
    [
      [version(2), 'compromised'],
      [version(1), 'active'],
    ],
  );
  assert.ok(listed.find(({ keyId }) => keyId === version(1))?.nextRotation);
  const { file } = service.config.keyServer.audit;
  assert.equal((await verifyLog(file)).verdict, 'genuine');
  const { acts } = await findActs(file, { operation: 'key-state' });
  const steps = acts.filter(({ name }) => name === 'default').map(({ was, state }) => [was, state]);
  assert.deepEqual(steps, [
    [undefined, 'active'],
    ['active', 'suspended'],
    ['suspended', 'compromised'],
  ]);
});

test('in a development store one person does all of it: destroy, take back, replace a KEK', async () => {
  const ordered = keys('destroy', version(2), '--reason', 'a test').json;
  assert.equal(ordered.result.state, 'destroy-pending');
  assert.equal(keys('destroy-cancel', version(2)).json[0].state, 'compromised');
  assert.deepEqual(keys('rotate-kek', 'signing', '--reason', 'a test').json.result, { use: 'signing', version: 2 });
  const health = await fetch(`http://127.0.0.1:${service.config.http.keyService.port}/metrics`);
  assert.match(await health.text(), /sealpost_key_rotation_due_timestamp_seconds\{[^}]*tenant="alpha"[^}]*\} [1-9]/);
});

test('a bare PKCS#8 key in DER, in clear or encrypted, comes in with its certificate in DER', () => {
  const at = (name: string): string => join(service.directory, name);
  const openssl = (...args: readonly string[]) =>
    execFileSync('openssl', args, { stdio: 'pipe', cwd: service.directory });
  writeFileSync(at('password'), 'four words of it');
  for (const [name, protection] of [
    ['dora', ['-nocrypt']],
    ['emil', ['-v2', 'aes-256-cbc', '-passout', 'file:password']],
  ] as const) {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384', '-nodes', '-keyout', 'key.pem'];
    const names = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=email:${name}@alpha.test`];
    openssl('req', '-x509', ...key, ...names, '-days', '30', '-outform', 'DER', '-out', 'leaf.der');
    openssl('pkcs8', '-topk8', '-in', 'key.pem', '-outform', 'DER', '-out', 'key.p8', ...protection);
    const files = ['--cert', at('leaf.der'), '--key', at('key.p8'), '--password-file', at('password')];
    const [imported] = sealpost('import', ...files).json;
    assert.equal(imported.address, `${name}@alpha.test`);
    assert.ok(imported.certificates.every(({ keyId }: { keyId?: string }) => keyId !== undefined));
  }
  const listed = keys('list', '--identity', 'emil@alpha.test').json;
  assert.deepEqual(
    listed.map(({ algorithm }: { algorithm: string }) => algorithm),
    ['p-384', 'p-384'],
  );
});
