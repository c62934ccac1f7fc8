// The key service as an operator meets it: made, opened, sealed, killed, tampered with, looked into.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { codeOf, encodeEnvelope, type KeyId, tenantId } from '@sealpost/core';
import { ephemeralBytes, KeyFault, verifyLog } from '@sealpost/service';
import { freePort, temporaryDirectory } from '@sealpost/testkit';
import { passphrase, runInit, runKeyService, ticketFor, writeConfig } from './running-key-service.ts';

const alpha = tenantId('alpha');

const isFault = (code: string) => (error: unknown) => error instanceof KeyFault && error.code === code;
const isCode = (code: string) => (error: unknown) => codeOf(error) === code;

/** Every file of the installation, by name. */
function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

test('init makes store and credentials that OpenSSL accepts, and again changes nothing', async () => {
  await using directory = await temporaryDirectory();
  const configFile = writeConfig(directory.path, await freePort(), await freePort());
  const first = runInit(configFile);
  assert.equal(first.status, 0, first.stderr);
  assert.match(first.stdout, /WARNING: .*development/);
  const credentials = join(directory.path, 'credentials');
  const before = new Map(filesBelow(credentials).map((file) => [file, readFileSync(file)]));
  assert.equal(before.size, 12);

  const verify = (role: string, purpose: string) =>
    execFileSync(
      'openssl',
      [
        'verify',
        '-x509_strict',
        '-purpose',
        purpose,
        '-CAfile',
        join(credentials, 'ca.crt'),
        join(credentials, `${role}.crt`),
      ],
      { encoding: 'utf8' },
    );
  for (const role of ['ingress', 'crypto-worker', 'egress', 'operator']) assert.match(verify(role, 'sslclient'), /OK/);
  assert.match(verify('key-service', 'sslserver'), /OK/);
  for (const file of before.keys()) {
    const isPublic = file.endsWith('.crt');
    assert.equal(statSync(file).mode & 0o077, isPublic ? 0o044 : 0, file);
    if (file.endsWith('.key')) assert.match(String(before.get(file)), /^-----BEGIN ENCRYPTED PRIVATE KEY-----/);
  }

  const second = runInit(configFile);
  assert.equal(second.status, 0, second.stderr);
  for (const [file, bytes] of before) assert.deepEqual(readFileSync(file), bytes, file);

  rmSync(join(credentials, 'egress.key'));
  assert.equal(runInit(configFile).status, 0);
  assert.notDeepEqual(readFileSync(join(credentials, 'egress.crt')), before.get(join(credentials, 'egress.crt')));
  assert.deepEqual(readFileSync(join(credentials, 'ingress.crt')), before.get(join(credentials, 'ingress.crt')));
});

test('init refuses what would be unsafe or cannot be meant', async () => {
  await using directory = await temporaryDirectory();
  const typed = writeConfig(directory.path, 1, 2, { slot: 'passphrase' });
  assert.match(runInit(typed).stderr, /passphrase is needed/);
  assert.match(runInit(typed, 'short').stderr, /at least 12 characters/);
  const byFile = writeConfig(directory.path, 1, 2);
  writeFileSync(join(directory.path, 'root'), 'x'.repeat(40), { mode: 0o644 });
  chmodSync(join(directory.path, 'root'), 0o644);
  assert.match(runInit(byFile).stderr, /readable by its owner only/);
  chmodSync(join(directory.path, 'root'), 0o400);
  const made = runInit(byFile);
  assert.equal(made.status, 0, made.stderr);
  assert.doesNotMatch(made.stdout, /development/);
  rmSync(join(directory.path, 'root'));
  assert.match(runInit(byFile).stderr, /is not there/);
  assert.equal(existsSync(join(directory.path, 'root')), false);
});

test('a passphrase store starts sealed, opens for the passphrase only, and forgets its keys when it is sealed', async () => {
  await using service = await runKeyService({ slot: 'passphrase' });
  const operator = service.call('operator');
  const ingress = service.call('ingress');
  const { slots, unsealKey, ...status } = await ingress.call('status', {});
  assert.deepEqual(status, { sealed: true, reason: 'waiting', development: false, risk: 'one-slot', shares: [] });
  assert.deepEqual(
    slots.map(({ label, kind }) => [label, kind]),
    [['passphrase', 'passphrase']],
  );
  assert.equal(unsealKey.length, 32);
  await assert.rejects(
    ingress.call('spool-public-key', { tenant: 'alpha', stage: 'crypto' }),
    isCode('key-service-sealed'),
  );
  await assert.rejects(operator.call('identity-add', { address: 'a@alpha.test' }), isCode('key-service-sealed'));
  await assert.rejects(operator.call('unseal', { passphrase: `${passphrase} ` }), isFault('passphrase-wrong'));
  await assert.rejects(ingress.call('unseal', { passphrase }), isFault('forbidden'));
  assert.equal((await operator.call('unseal', { passphrase })).sealed, false);
  await ingress.call('spool-public-key', { tenant: 'alpha', stage: 'crypto' });

  assert.equal((await operator.call('seal', {})).sealed, true);
  await assert.rejects(
    ingress.call('spool-public-key', { tenant: 'alpha', stage: 'crypto' }),
    isCode('key-service-sealed'),
  );
  await operator.call('unseal', { passphrase });
  await service.end();
  await service.start();
  assert.equal((await operator.call('status', {})).sealed, true);
});

test('guessing the passphrase is slowed down for everybody', async () => {
  await using service = await runKeyService({ slot: 'passphrase' });
  const operator = service.call('operator');
  const tries: string[] = [];
  // Three at a time: each costs Argon2id, and on a busy machine twelve in line take longer than a client waits.
  for (let round = 0; round < 4; round++) {
    const guesses = [1, 2, 3].map((at) =>
      operator.call('unseal', { passphrase: `guess ${round} ${at}` }).then(
        () => 'open',
        (error: KeyFault) => error.code,
      ),
    );
    tries.push(...(await Promise.all(guesses)));
  }
  assert.equal(tries.filter((code) => code === 'passphrase-wrong').length, 10);
  assert.equal(tries.filter((code) => code === 'too-many-attempts').length, 2);
  await assert.rejects(operator.call('unseal', { passphrase }), isFault('too-many-attempts'));
});

test('keys, certificates and the log survive SIGKILL in the middle of work, and what was answered is on record', async () => {
  await using service = await runKeyService();
  const operator = service.call('operator');
  await operator.call('identity-add', { address: 'alice@alpha.test', algorithm: 'p-256' });
  const before = await operator.call('identity-show', { address: 'alice@alpha.test' });
  const keyId = before.records.find((record) => record.keyId?.includes('signing'))?.keyId as KeyId;
  const spool = await service.as('ingress').spoolPublicKey(alpha, 'crypto');

  const worker = service.call('crypto-worker');
  const signer = await service.as('ingress').ticketSigner();
  const leased: string[] = [];
  let isOver = false;
  const work = Promise.all(
    Array.from({ length: 8 }, async () => {
      while (!isOver) {
        const { ticket, envelope } = ticketFor(signer);
        const ephemeral = ephemeralBytes(generateKeyPairSync('x25519').publicKey);
        const request = { instance: 'w', keyId, ephemeral, ticket, envelope: encodeEnvelope(envelope) };
        await worker.call('lease', request).then(
          ({ leaseId }) => leased.push(leaseId),
          () => undefined,
        );
      }
    }),
  );
  const added: string[] = [];
  const adding = (async () => {
    for (let at = 0; !isOver; at++) {
      const address = `person-${at}@alpha.test`;
      await operator.call('identity-add', { address, algorithm: 'p-256' }).then(
        () => added.push(address),
        () => undefined,
      );
    }
  })();
  while (leased.length < 50 || added.length < 10) await wait(5);
  await service.end('SIGKILL');
  isOver = true;
  await Promise.all([work, adding]);
  assert.notEqual((await verifyLog(service.config.keyServer.audit.file)).verdict, 'tampered');

  await service.start();
  const log = readFileSync(service.config.keyServer.audit.file, 'utf8');
  for (const leaseId of leased) assert.ok(log.includes(leaseId));
  assert.deepEqual(await operator.call('identity-show', { address: 'alice@alpha.test' }), before);
  const { identities } = await operator.call('identity-list', {});
  for (const address of added) assert.ok(identities.some((identity) => identity.address === address));
  for (const { address, certificates } of identities) assert.equal(certificates.length, 2, address);
  const restarted = service.as('crypto-worker', 'after');
  const { ticket, envelope } = ticketFor(await service.as('ingress', 'after').ticketSigner());
  assert.equal((await restarted.lease(keyId, { ticket, envelope })).privateKey.asymmetricKeyType, 'ec');
  assert.deepEqual((await service.as('ingress', 'third').spoolPublicKey(alpha, 'crypto')).keyId, spool.keyId);
});

test('a torn end of the log is repaired; a changed or shortened log keeps the store sealed', async () => {
  await using service = await runKeyService();
  const { file } = service.config.keyServer.audit;
  const operator = service.call('operator');
  const restarted = async (change: () => void) => {
    await service.end();
    change();
    await service.start();
    return await operator.call('status', {});
  };

  const torn = await restarted(() => appendFileSync(file, '{"v":1,"suite":1,"se'));
  assert.equal(torn.sealed, false);
  assert.match(service.output(), /"event":"audit.failed","reason":"torn end repaired"/);

  const whole = readFileSync(file, 'utf8');
  const changed = await restarted(() => writeFileSync(file, whole.replace('"result":"ok"', '"result":"no"')));
  assert.deepEqual([changed.sealed, changed.reason], [true, 'audit-tampered']);
  assert.match(service.output(), /"event":"audit.failed","reason":"tampered"/);
  const ingress = service.call('ingress');
  await assert.rejects(
    ingress.call('ticket-certificate', { instance: 'i', publicKey: Buffer.alloc(44) }),
    isCode('key-service-sealed'),
  );

  const lines = whole.split(/(?<=\n)/);
  const cut = await restarted(() => writeFileSync(file, lines.slice(0, -3).join('')));
  assert.deepEqual([cut.sealed, cut.reason], [true, 'audit-tampered']);
  const none = await restarted(() => rmSync(file));
  assert.deepEqual([none.sealed, none.reason], [true, 'audit-tampered']);
  assert.equal((await restarted(() => writeFileSync(file, whole))).sealed, false);

  // The way on when no copy is left: given up by name, and the new log begins by saying so.
  const replaced = await restarted(() => {
    writeFileSync(file, 'lost\n');
    assert.notEqual(runInit(service.configFile).status, 0);
    assert.equal(runInit(service.configFile, undefined, ['--replace-audit-log']).status, 0);
  });
  assert.equal(replaced.sealed, false);
  assert.match(
    readFileSync(file, 'utf8'),
    /^[^\n]*"operation":"audit-log-replaced",[^\n]*"replaces":"\d+ [0-9a-f]{64}"/,
  );
});

test('a full audit disk stops every operation that must be on record, within the deadline, and those only', async () => {
  await using service = await runKeyService();
  const operator = service.call('operator');
  const ingress = service.call('ingress');
  const certify = () => service.as('ingress', `i${Math.random()}`).ticketSigner();
  await certify();
  const { size } = statSync(service.config.keyServer.audit.file);
  // The kernel lets the process write no file beyond this length: what a full disk does, for this process only.
  execFileSync('prlimit', ['--pid', String(service.pid()), `--fsize=${size + 100}:unlimited`]);
  const started = Date.now();
  await assert.rejects(certify(), isCode('audit-unavailable'));
  await assert.rejects(operator.call('identity-add', { address: 'late@alpha.test' }), isCode('audit-unavailable'));
  assert.ok(Date.now() - started < 4_000);
  await ingress.call('spool-public-key', { tenant: 'alpha', stage: 'crypto' });
  const health = await fetch(`http://127.0.0.1:${service.config.http.keyService.port}/ready`);
  assert.equal(health.status, 503);

  execFileSync('prlimit', ['--pid', String(service.pid()), '--fsize=unlimited:unlimited']);
  await certify();
  const { identities } = await operator.call('identity-list', {});
  assert.deepEqual(identities, []);
});

test('a store is held by one process', async () => {
  await using service = await runKeyService();
  const second = spawnSync(
    process.execPath,
    [join(import.meta.dirname, '../src/main.ts'), '--config', service.configFile, '--http-port', '0'],
    { encoding: 'utf8', timeout: 20_000 },
  );
  assert.equal(second.status, 1);
  assert.match(second.stdout + second.stderr, /held by another process/);
  assert.match(runInit(service.configFile).stderr, /held by another process/);
});

test('a store whose service CA is not the one on disk stays sealed', async () => {
  await using service = await runKeyService();
  await using other = await runKeyService({ fresh: true });
  const operator = other.call('operator');
  await service.end();
  await other.end();
  rmSync(join(other.directory, 'keys'), { recursive: true });
  mkdirSync(join(other.directory, 'keys'));
  for (const name of readdirSync(join(service.directory, 'keys'))) {
    writeFileSync(join(other.directory, 'keys', name), readFileSync(join(service.directory, 'keys', name)));
  }
  writeFileSync(other.config.keyServer.audit.file, readFileSync(service.config.keyServer.audit.file));
  const slot = readFileSync(join(service.directory, 'root'));
  truncateSync(join(other.directory, 'root'), 0);
  appendFileSync(join(other.directory, 'root'), slot);
  await other.start();
  const status = await operator.call('status', {});
  assert.deepEqual([status.sealed, status.reason], [true, 'store-foreign']);
});

test('no private key, address or passphrase stands in any file or output', async () => {
  await using service = await runKeyService({ slot: 'passphrase' });
  const operator = service.call('operator');
  await operator.call('unseal', { passphrase });
  const address = 'marker-9143@alpha.test';
  await operator.call('identity-add', { address, algorithm: 'p-256' });
  const { records } = await operator.call('identity-show', { address });
  const keyId = records.find((record) => record.keyId?.includes('signing'))?.keyId as KeyId;
  const { ticket, envelope } = ticketFor(await service.as('ingress').ticketSigner(), { from: address });
  const { privateKey } = await service.as('crypto-worker').lease(keyId, { ticket, envelope });
  const scalar = Buffer.from(privateKey.export({ format: 'jwk' }).d ?? '', 'base64url');
  const spool = await service.as('crypto-worker').spoolPrivateKey(`alpha/stage.crypto/spool/1` as KeyId);
  const spoolScalar = Buffer.from(spool.export({ format: 'jwk' }).d ?? '', 'base64url');
  await operator.call('unseal', { passphrase });
  await service.end();

  const places = [
    ...filesBelow(service.directory).map((file) => [file, readFileSync(file)] as const),
    ['output', Buffer.from(service.output())] as const,
  ];
  for (const [name, bytes] of places) {
    for (const secret of [scalar, spoolScalar]) {
      for (const form of [
        secret,
        secret.toString('hex'),
        secret.toString('base64').slice(0, 40),
        secret.toString('base64url').slice(0, 40),
      ]) {
        assert.equal(bytes.includes(form), false, `private key in ${name}`);
      }
    }
    assert.equal(bytes.includes('marker-9143'), false, `address in ${name}`);
    assert.equal(bytes.includes(passphrase), false, `passphrase in ${name}`);
  }
  assert.ok(places.some(([name]) => name.endsWith('store.sqlite')));
});
