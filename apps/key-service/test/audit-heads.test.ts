// Signed heads over the real service: each answer carries one, clients show the highest that they saw, and a log that was put back
// to an older copy, together with the store, is found by them. Then the operator's commands on the log that came about.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { test } from 'node:test';
import { codeOf, type KeyId } from '@sealpost/core';
import { headHeader, KeyFault, parseHead, verifyLog } from '@sealpost/service';
import { passphrase, type RunningKeyService, runInit, runKeyService, ticketFor } from './running-key-service.ts';

const isSealed = (error: unknown): boolean => codeOf(error) === 'key-service-sealed';

/** Copies store and log, as somebody with the disk would, or puts the copy back. */
function copyState(service: RunningKeyService, name: string, way: 'keep' | 'put back'): void {
  for (const part of ['keys', 'audit']) {
    const [here, kept] = [join(service.directory, part), join(service.directory, `${name}-${part}`)];
    const [from, to] = way === 'keep' ? [here, kept] : [kept, here];
    rmSync(to, { recursive: true, force: true });
    cpSync(from, to, { recursive: true });
  }
}

/** Something that leaves two records. */
const act = (service: RunningKeyService, who = service.call('operator')) =>
  who.call('audit-address', { address: 'a@alpha.test' });

/** Status and audit head of one answer, asked for as no client of ours does. */
function rawAnswer(service: RunningKeyService, path: string, head?: string): Promise<[number, string | undefined]> {
  const { credentials, caFile, passphraseFile } = service.config.keyService;
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        host: '127.0.0.1',
        port: service.port,
        path,
        method: 'POST',
        agent: false,
        ca: readFileSync(caFile),
        cert: readFileSync(join(credentials, 'ingress.crt')),
        key: readFileSync(join(credentials, 'ingress.key')),
        passphrase: readFileSync(passphraseFile ?? '', 'utf8').trim(),
        headers: { 'content-type': 'application/json', ...(head === undefined ? {} : { [headHeader]: head }) },
      },
      (response) => {
        response.resume();
        const shown = response.headers[headHeader];
        resolve([response.statusCode ?? 0, typeof shown === 'string' ? shown : undefined]);
      },
    );
    asked.on('error', reject);
    asked.end('{}');
  });
}

test('every answer of an open service carries the head on disk, refusals too; what is no head of ours changes nothing', async () => {
  await using service = await runKeyService();
  for (const [path, status] of [
    ['/v1/status', 200],
    ['/v1/seal', 403],
    ['/v1/nothing', 404],
    ['/v1/lease', 403],
  ] as const) {
    const [answered, text] = await rawAnswer(service, path);
    assert.equal(answered, status, path);
    const head = parseHead(text ?? '');
    assert.ok(head, path);
    const line = readFileSync(service.config.keyServer.audit.file, 'utf8').split('\n')[head.seq - 1];
    assert.ok(line?.endsWith(`"hash":"${head.hash}"}`), path);
  }
  const [, text] = await rawAnswer(service, '/v1/status');
  const genuine = parseHead(text ?? '');
  assert.ok(genuine);
  const { log, seq, hash, signature } = genuine;
  for (const head of [
    `1.${log}.${seq + 1_000}.${hash}.${signature}`,
    `1.${'0'.repeat(32)}.${seq}.${hash}.${signature}`,
    `1.${log}.${seq}.${'0'.repeat(64)}.${signature}`,
    'x',
    `1.${log}.99999999999999999999.${hash}.${signature}`,
    text ?? '',
  ]) {
    assert.equal((await rawAnswer(service, '/v1/authorities', head))[0], 200, head);
  }
});

test('a log put back together with the store is found by the first client that saw more, and stays sealed', async () => {
  await using service = await runKeyService();
  const operator = service.call('operator');
  await act(service, operator);
  await service.end();
  copyState(service, 'old', 'keep');
  await service.start();
  for (let times = 0; times < 4; times++) await act(service, operator);
  await service.end();
  copyState(service, 'new', 'keep');

  copyState(service, 'old', 'put back');
  await service.start();
  await assert.rejects(act(service, operator), isSealed);
  assert.match(service.output(), /"event":"alert.authenticity"/);
  assert.equal((await operator.call('status', {})).reason, 'audit-tampered');

  // Not for the life of the process only, and for somebody who never saw the longer log too.
  await service.end();
  await service.start();
  assert.equal((await service.call('operator').call('status', {})).reason, 'audit-tampered');
  await assert.rejects(act(service, service.call('operator')), isSealed);

  await service.end();
  copyState(service, 'new', 'put back');
  await service.start();
  await act(service, operator);
});

test('a log that was put back and has grown beyond what the client saw is found by its hash', async () => {
  await using service = await runKeyService();
  const operator = service.call('operator');
  await service.end();
  copyState(service, 'old', 'keep');
  await service.start();
  await act(service, operator);
  await service.end();
  copyState(service, 'old', 'put back');
  await service.start();
  for (let times = 0; times < 8; times++) await act(service);
  await assert.rejects(act(service, operator), isSealed);
});

test('what a client shows while the store is sealed is judged at the opening', async () => {
  await using service = await runKeyService({ slot: 'passphrase' });
  const [operator, ingress] = [service.call('operator'), service.call('ingress')];
  await operator.call('unseal', { passphrase });
  await service.end();
  copyState(service, 'old', 'keep');
  await service.start();
  await service.call('operator').call('unseal', { passphrase });
  for (let times = 0; times < 4; times++) await act(service);
  await ingress.call('authorities', {});
  await service.end();
  copyState(service, 'old', 'put back');
  await service.start();
  await assert.rejects(ingress.call('authorities', {}), isSealed);
  await assert.rejects(
    service.call('operator').call('unseal', { passphrase }),
    (error: unknown) => error instanceof KeyFault && error.code === 'audit-tampered',
  );
});

test('heads of a log that an operator gave up prove nothing against the new one', async () => {
  await using service = await runKeyService();
  const operator = service.call('operator');
  for (let times = 0; times < 8; times++) await act(service, operator);
  await service.end();
  assert.equal(runInit(service.configFile, undefined, ['--replace-audit-log']).status, 0);
  await service.start();
  await act(service, operator);
  await act(service, operator);
  assert.equal((await operator.call('status', {})).sealed, false);
});

test('a killed service leaves a log that verifies, with checkpoints that reach to its last opening', async () => {
  await using service = await runKeyService();
  const operator = service.call('operator');
  for (let times = 0; times < 3; times++) await act(service, operator);
  const held = await operator.call('audit-head', {});
  const head = parseHead(held.head);
  assert.ok(head);
  await service.end('SIGKILL');
  const report = await verifyLog(service.config.keyServer.audit.file, { head, key: held.key });
  assert.equal(report.verdict, 'genuine');
  assert.ok(report.checkpoints > 0 && report.signedUntil === head.seq);
});

interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

function sealpost(...args: readonly string[]): Promise<Ran> {
  const main = join(import.meta.dirname, '../../cli/src/main.ts');
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], { encoding: 'utf8' }, (error, stdout, stderr) =>
      resolve({ status: error ? Number(error.code ?? -1) : 0, stdout, stderr }),
    );
  });
}

test('the commands verify the log, tell who used which key when, and which keys a worker held', async () => {
  await using service = await runKeyService();
  const operator = service.call('operator');
  for (const address of ['alice@alpha.test', 'carol@alpha.test']) {
    await operator.call('identity-add', { address, algorithm: 'p-256' });
  }
  const signer = await service.as('ingress').ticketSigner();
  const worker = service.as('crypto-worker', 'w1');
  const before = new Date(Date.now() - 1_000).toISOString();
  const ids: string[] = [];
  for (const person of ['alice', 'carol']) {
    const { ticket, envelope, id } = ticketFor(signer, { from: `${person}@alpha.test` });
    await worker.lease(`alpha/${person}%40alpha.test/signing/1` as KeyId, { ticket, envelope });
    ids.push(id);
  }
  await assert.rejects(
    service.as('crypto-worker', 'w2').lease('alpha/alice%40alpha.test/signing/2' as KeyId, ticketFor(signer)),
  );
  const file = service.config.keyServer.audit.file;
  const here = ['--config', service.configFile, '--json'];

  const heldFile = join(service.directory, 'held.json');
  const [head, query, exposure, later] = await Promise.all([
    sealpost('audit', 'head', ...here),
    sealpost('audit', 'query', '--address', 'Alice@alpha.test', '--operation', 'lease', '--from', before, ...here),
    sealpost('exposure', '--worker', 'w1', '--from', before, '--to', new Date().toISOString(), ...here),
    sealpost('exposure', '--worker', 'w1', '--from', '2099-01-01', '--to', '2099-01-02', ...here),
  ]);
  const { acts } = JSON.parse(query.stdout);
  assert.deepEqual(
    acts.map(({ instance, message, result }: Record<string, string>) => [instance, message ?? '', result]),
    [
      ['w1', ids[0], 'ok'],
      ['w2', acts[1].message, 'key-denied'],
    ],
  );
  assert.doesNotMatch(query.stdout, /alice/i);
  const { keys } = JSON.parse(exposure.stdout);
  assert.deepEqual(
    keys.map(({ leases, messages }: { leases: number; messages: string[] }) => [leases, messages]),
    ids.map((id) => [1, [id]]),
  );
  assert.equal(keys[0].key, acts[0].key);
  assert.deepEqual(JSON.parse(later.stdout).keys, []);

  writeFileSync(heldFile, head.stdout);
  await service.end();
  const whole = readFileSync(file, 'utf8');
  const copy = join(service.directory, 'copy.log');
  const verify = (text: string, ...more: readonly string[]) => {
    writeFileSync(copy, text);
    return sealpost('audit', 'verify', copy, '--checkpoint', heldFile, ...more);
  };
  const genuine = await verify(whole, '--json');
  assert.deepEqual([genuine.status, JSON.parse(genuine.stdout).verdict], [0, 'genuine']);
  const changed = await verify(whole.replace('"result":"ok"', '"result":"no"'), '--json');
  assert.deepEqual([changed.status, JSON.parse(changed.stdout).fault], [3, 'record-changed']);
  const cut = await verify(
    whole
      .split(/(?<=\n)/)
      .slice(0, 5)
      .join(''),
  );
  assert.equal(cut.status, 3);
  assert.match(cut.stdout, /its end was cut off/);
  assert.equal((await verify(`${whole}{"v":1,`)).status, 4);
  assert.equal((await sealpost('audit', 'verify', join(service.directory, 'none.log'))).status, 2);
  assert.equal((await sealpost('audit', 'verify', copy, '--checkpoint', service.configFile)).status, 2);
  const stale = await sealpost('audit', 'query', '--file', service.configFile, '--config', service.configFile);
  assert.equal(stale.status, 3);
});
