// A backup from a running service to an empty machine: sealed to a quorum, whole or refused, no older than what custodians hold
// unless they name the loss, and rehearsed with a report that only the store's own audit key can sign.

import assert from 'node:assert/strict';
import { createPublicKey, randomBytes } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import type { KeyId, TenantId } from '@sealpost/core';
import { KeyFault, loadConfig, openKeyConnection } from '@sealpost/service';
import { freePort, makeSoftHsm, softHsmModule, type TemporaryDirectory, temporaryDirectory } from '@sealpost/testkit';
import { runBackup } from '../src/backup/command.ts';
import { type DrillReport, lastDrill, readReport } from '../src/backup/drill.ts';
import { backupName } from '../src/backup/make-backup.ts';
import { pruneBackups } from '../src/backup/prune-backups.ts';
import { joinShares, makeQuorum } from '../src/backup/quorum.ts';
import { openHsm } from '../src/hsm/open-hsm.ts';
import { openKeeper } from '../src/keeper.ts';
import { openStored } from '../src/open-stored.ts';
import {
  type RunningKeyService,
  runInit,
  runKeyService,
  serveAt,
  ticketFor,
  writeConfig,
} from './running-key-service.ts';

const alice = 'alpha/alice%40alpha.test/signing/1' as KeyId;

let place: TemporaryDirectory;
let service: RunningKeyService;
let file: string;
let held: string;

/** The command as `main.ts backup` runs it, in this process. */
async function backup(...args: readonly string[]) {
  try {
    return { status: 0, stderr: '', answer: (await runBackup(args)) as Record<string, never> };
  } catch (error) {
    return { status: 1, stderr: (error as Error).message, answer: {} as Record<string, never> };
  }
}
const share = (at: number) => ['--share', join(place.path, `q.share-${at}.json`)];
const keys = () => ['--recipient', join(place.path, 'q.recipient.json'), ...share(3), ...share(1)];

async function holdHead(): Promise<string> {
  const name = join(place.path, `head-${randomBytes(4).toString('hex')}.json`);
  writeFileSync(name, JSON.stringify(await service.call('operator').call('audit-head', {})));
  return name;
}

before(async () => {
  place = await temporaryDirectory();
  assert.equal((await backup('quorum', '--needed', '2', '--of', '3', '--out', join(place.path, 'q'))).status, 0);
  const keyServer = {
    backup: { directory: join(place.path, 'backups'), recipient: join(place.path, 'q.recipient.json') },
  };
  service = await runKeyService({ keyServer });
  const operator = service.call('operator');
  await operator.call('identity-add', { address: 'alice@alpha.test', algorithm: 'p-256' });
  held = await holdHead();
  ({ file } = await operator.call('backup-make', {}));
  await operator.call('identity-add', { address: 'late@alpha.test', algorithm: 'p-256' });
});

after(async () => {
  await service[Symbol.asyncDispose]();
  await place.remove();
});

test('a backup names no address and no key in clear, and only shares enough of its quorum open it', async () => {
  const bytes = readFileSync(file);
  assert.equal(bytes.includes('alice'), false);
  assert.equal(bytes.includes('SQLite format'), false);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(join(place.path, 'backups')).length, 1, 'no copy in clear is left');
  const { answer } = await backup('verify', file, ...keys(), '--checkpoint', held);
  assert.equal(answer.missing, 0);
  const recipient = ['--recipient', join(place.path, 'q.recipient.json')];
  for (const few of [[], share(1), [...share(1), ...share(1)]]) {
    const done = await backup('verify', file, ...recipient, ...few);
    assert.equal(done.status, 1);
    assert.match(done.stderr, /2 different shares/);
  }
  const later = await holdHead();
  assert.ok(Number((await backup('verify', file, ...keys(), '--checkpoint', later)).answer.missing) > 0);
});

test('a share that is damaged or of another key is named and not used', async () => {
  const { recipient, shares } = await makeQuorum(3, 5);
  const other = await makeQuorum(2, 3);
  const texts = shares.map((each) => JSON.stringify(each));
  await joinShares(JSON.stringify(recipient), [texts[4] ?? '', texts[0] ?? '', texts[2] ?? '']);
  for (let at = 0; at < 33; at++) {
    const bytes = Buffer.from(shares[1]?.share ?? '', 'base64');
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    const damaged = JSON.stringify({ ...shares[1], share: bytes.toString('base64') });
    await assert.rejects(joinShares(JSON.stringify(recipient), [texts[0] ?? '', damaged, texts[2] ?? '']), /share 2/);
  }
  const foreign = JSON.stringify(other.shares[0]);
  await assert.rejects(joinShares(JSON.stringify(recipient), [foreign, texts[0] ?? '', texts[1] ?? '']), /share 1/);
  for (const nonsense of ['', '{}', '[]', 'null', '{"v":2}', 'x'.repeat(10_000)]) {
    await assert.rejects(joinShares(nonsense, texts), /not the public key/);
    await assert.rejects(joinShares(JSON.stringify(recipient), [nonsense]), /share 1/);
  }
  for (const [needed, of] of [
    [0, 3],
    [4, 3],
    [2, 17],
    [1, 2],
    [Number.NaN, 3],
  ] as const) {
    await assert.rejects(makeQuorum(needed, of), /a quorum is/);
  }
});

test('a backup that was cut, flipped, prolonged or is something else is refused', async () => {
  const whole = readFileSync(file);
  const changed = join(place.path, 'changed');
  const flip = (at: number) => {
    const bytes = Buffer.from(whole);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    return bytes;
  };
  const cases = [flip(0), flip(20), flip(whole.length - 1), flip(1_000), whole.subarray(0, -1)];
  for (const bytes of [...cases, Buffer.concat([whole, Buffer.alloc(1)]), Buffer.alloc(0)]) {
    writeFileSync(changed, bytes);
    const done = await backup('verify', changed, ...keys());
    assert.deepEqual([done.status, /not a whole backup/.test(done.stderr)], [1, true]);
  }
});

/** A configuration for a machine that has nothing but the slot's file. */
async function emptyMachine(name: string): Promise<string> {
  const directory = join(place.path, name);
  mkdirSync(directory);
  cpSync(join(service.directory, 'root'), join(directory, 'root'));
  const text = readFileSync(service.configFile, 'utf8').replaceAll(service.directory, directory);
  const port = await freePort();
  const config = JSON.parse(text.replaceAll(`:${service.port}`, `:${port}`));
  config.keyServer.listen.port = port;
  config.http.keyService.port = await freePort();
  const configFile = join(directory, 'installation.yaml');
  writeFileSync(configFile, JSON.stringify(config));
  return configFile;
}

test('on an empty machine the store is as it was, under a new audit log that says what it follows', async () => {
  const configFile = await emptyMachine('restored');
  const done = await backup('restore', file, '--config', configFile, ...keys(), '--checkpoint', held);
  assert.equal(done.status, 0, done.stderr);
  await using again = await serveAt(configFile);
  const { identities } = await again.call('operator').call('identity-list', {});
  assert.deepEqual(
    identities.map(({ address }) => address),
    ['alice@alpha.test'],
  );
  const worker = again.as('crypto-worker', 'w');
  const { ticket, envelope } = ticketFor(await again.as('ingress').ticketSigner());
  assert.ok(await worker.lease(alice, { ticket, envelope }));
  const log = readFileSync(again.config.keyServer.audit.file, 'utf8');
  assert.match(log.split('\n')[0] ?? '', /"operation":"audit-log-replaced".*"replaces":"\d+ /);

  const occupied = await backup('restore', file, '--config', configFile, ...keys(), '--checkpoint', held);
  assert.match(occupied.stderr, /there is a key store/);
});

test('a state older than what the custodians hold is refused, until they name the loss', async () => {
  const configFile = await emptyMachine('older');
  const later = await holdHead();
  const restore = (checkpoint: string, ...more: string[]) =>
    backup('restore', file, '--config', configFile, ...keys(), '--checkpoint', checkpoint, ...more);
  const refused = await restore(later);
  assert.equal(refused.status, 1);
  const lost = /--accept-loss (\d+)/.exec(refused.stderr)?.[1] ?? '';
  assert.match((await restore(later, '--accept-loss', String(Number(lost) - 1))).stderr, /older than the checkpoint/);

  const head = JSON.parse(readFileSync(held, 'utf8'));
  const forged = join(place.path, 'forged.json');
  for (const change of [{ head: head.head.replace(/\.\d+\./, '.1.') }, { key: 'AAAA' }, { head: '' }]) {
    writeFileSync(forged, JSON.stringify({ ...head, ...change }));
    assert.match((await restore(forged)).stderr, /is not a head/);
  }
  await using other = await runKeyService({ fresh: true });
  writeFileSync(forged, JSON.stringify(await other.call('operator').call('audit-head', {})));
  assert.match((await restore(forged, '--accept-loss', 'all')).stderr, /different stores/);
  assert.equal(existsSync(join(place.path, 'older', 'keys', 'store.sqlite')), false);
  assert.equal((await restore(later, '--accept-loss', lost)).status, 0);
});

test('a drill opens the canary and every key, and its signed report is what the service shows the age of', async () => {
  const directory = join(place.path, 'backups');
  const metrics = async () =>
    await (await fetch(`http://127.0.0.1:${service.config.http.keyService.port}/metrics`)).text();
  const age = (text: string) => Number(/^sealpost_backup_drill_age_seconds\S* (\S+)/m.exec(text)?.[1]);
  assert.ok(age(await metrics()) > 1e9);
  const done = await backup('drill', file, '--config', service.configFile, ...keys());
  assert.equal(done.status, 0, done.stderr);
  const { report, file: reportFile } = done.answer as unknown as { report: DrillReport; file: string };
  assert.deepEqual([report.passed, report.canary, report.broken], [true, true, 0]);
  assert.ok(report.keys > 8);
  const { key } = JSON.parse(readFileSync(held, 'utf8'));
  assert.equal(lastDrill(directory, key)?.at, report.at);
  assert.deepEqual(readReport(reportFile, key), report);
  const text = readFileSync(reportFile, 'utf8');
  const signed = JSON.parse(text);
  const better = Buffer.from(JSON.stringify({ ...report, at: '2099-01-01T00:00:00.000Z' })).toString('base64');
  writeFileSync(reportFile, JSON.stringify({ ...signed, report: better }));
  assert.equal(lastDrill(directory, key), undefined);
  writeFileSync(reportFile, text);

  const lost = await emptyMachine('lost-slot');
  writeFileSync(join(place.path, 'lost-slot', 'root'), randomBytes(48));
  const failed = await backup('drill', file, '--config', lost, ...keys());
  assert.deepEqual([failed.status, failed.stderr.trim()], [1, new KeyFault('passphrase-wrong').message]);
  rmSync(join(place.path, 'lost-slot'), { recursive: true });
});

test('a directory that cannot be written, and a quorum key that is not there, are told as what they are', async () => {
  const operator = service.call('operator');
  const isFault = (code: string) => (error: unknown) => error instanceof KeyFault && error.code === code;
  for (const [name, stand, code] of [
    ['q.recipient.json', '{}', 'backup-recipient-unreadable'],
    ['backups', '', 'backup-not-written'],
  ] as const) {
    const [own, away] = [join(place.path, name), join(place.path, 'away')];
    renameSync(own, away);
    try {
      if (name === 'q.recipient.json') await assert.rejects(operator.call('backup-make', {}), isFault(code));
      writeFileSync(own, stand);
      await assert.rejects(operator.call('backup-make', {}), isFault(code));
    } finally {
      rmSync(own, { force: true });
      renameSync(away, own);
    }
  }
});

test('a service without backups in its configuration says so', async () => {
  await using plain = await runKeyService();
  const operator = openKeyConnection(plain.config.keyService, 'operator');
  await assert.rejects(
    operator.call('backup-make', {}),
    (error) => (error as KeyFault).code === 'backup-not-configured',
  );
  operator.close();
});

test('a store that only custodians open is rehearsed with their shares, and not without', async () => {
  const directory = join(place.path, 'shared');
  mkdirSync(directory);
  const { backup: where } = service.config.keyServer;
  const configFile = writeConfig(directory, 1, 2, { slot: 'passphrase', keyServer: { backup: where } });
  const shares = join(place.path, 'unseal-shares');
  const made = runInit(configFile, undefined, ['--slot', 'people=shamir:2/3', '--shares-dir', shares]);
  assert.equal(made.status, 0, made.stderr);
  const shareFiles = readdirSync(shares).map((name) => join(shares, name));
  const config = loadConfig(configFile);
  const log = { event: () => undefined };
  const keeper = await openKeeper({ config, log, clock: { now: () => new Date() } });
  await openStored(keeper, config, { shareFiles: shareFiles.slice(0, 2) });
  const { file: saved } = await keeper.backUp();
  await keeper.close();
  const rehearse = (...files: readonly string[]) =>
    backup('drill', saved, '--config', configFile, ...keys(), ...files.flatMap((name) => ['--unseal-share', name]));
  assert.match((await rehearse(...shareFiles.slice(0, 1))).stderr, /not enough/);
  const done = await rehearse(...shareFiles.slice(1));
  assert.equal(done.status, 0, done.stderr);
});

test('old backups go by number and age, and never the newest or the one that a drill restored', async () => {
  await using scratch = await temporaryDirectory();
  const now = new Date('2026-06-30T00:00:00Z');
  const day = (ago: number) => new Date(now.getTime() - ago * 86_400_000);
  const fill = () => {
    for (let ago = 0; ago < 6; ago++) {
      const name = join(scratch.path, backupName(day(ago)));
      writeFileSync(name, 'x');
      utimesSync(name, day(ago), day(ago));
    }
    writeFileSync(join(scratch.path, 'notes.txt'), 'x');
  };
  const left = (limits: { keep?: number; keepDays?: number }, drilled?: number) => {
    fill();
    pruneBackups(scratch.path, limits, drilled === undefined ? undefined : day(drilled).toISOString(), now);
    const names = readdirSync(scratch.path).filter((name) => name !== 'notes.txt');
    return [0, 1, 2, 3, 4, 5].filter((ago) => names.includes(backupName(day(ago))));
  };
  assert.deepEqual(left({}), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(left({ keep: 3 }), [0, 1, 2]);
  assert.deepEqual(left({ keep: 1 }), [0]);
  assert.deepEqual(left({ keep: 1 }, 4), [0, 4]);
  assert.deepEqual(left({ keepDays: 2 }), [0, 1, 2]);
  assert.deepEqual(left({ keep: 1, keepDays: 3 }), [0, 1, 2, 3]);
  assert.ok(readdirSync(scratch.path).includes('notes.txt'));
});

suite('with SoftHSM', { skip: softHsmModule === undefined && 'SoftHSM or its binding is not installed' }, () => {
  test('a drill asks the token for the keys that are there, and says which it could not try', async () => {
    const directory = join(place.path, 'token');
    mkdirSync(directory);
    const token = makeSoftHsm(directory);
    Object.assign(process.env, token.environment);
    token.makeRsaKey('alice', '01');
    const { backup: where } = service.config.keyServer;
    const configFile = writeConfig(directory, 1, 2, { keyServer: { backup: where, pkcs11: token.place } });
    assert.equal(runInit(configFile).status, 0);
    const config = loadConfig(configFile);
    const hsm = openHsm({ ...token.place, deadlineMs: 5_000, onFailure: () => undefined });
    const found = await hsm.find({ label: 'alice' });
    await hsm.close();
    const keeper = await openKeeper({ config, log: { event: () => undefined }, clock: { now: () => new Date() } });
    await openStored(keeper, config, {});
    const publicKey = createPublicKey({ key: found.publicKey ?? Buffer.alloc(0), format: 'der', type: 'spki' });
    const named = { token: { label: 'alice', id: '01' }, publicKey };
    await keeper.store().keys.add({ tenant: 'alpha' as TenantId, identity: 'a@alpha.test', use: 'signing', ...named });
    const { file: saved } = await keeper.backUp();
    await keeper.close();
    const rehearse = async () => {
      const done = await backup('drill', saved, '--config', configFile, ...keys());
      assert.equal(done.status, 0, done.stderr);
      return (done.answer as unknown as { report: DrillReport }).report;
    };
    const whole = await rehearse();
    assert.deepEqual([whole.untried, whole.broken], [0, 0]);
    renameSync(token.place.pinFile, `${token.place.pinFile}.away`);
    const without = await rehearse();
    assert.deepEqual([without.untried, without.keys, without.passed], [1, whole.keys - 1, true]);
  });
});
