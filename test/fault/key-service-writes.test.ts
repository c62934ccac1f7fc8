// SIGKILL of the key service at each single write, synchronisation and renaming of its audit log and of its store, one after the other
// (by strace's injection, on the real process): what was answered is there and on record, what is there has its intent on record, and
// the next start opens without a person. Skipped where strace is not installed.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { type Installation, type KeyConnection, loadConfig, openKeyConnection, verifyLog } from '@sealpost/service';
import { freePort, type TemporaryDirectory, temporaryDirectory } from '@sealpost/testkit';
import { runInit, writeConfig } from '../../apps/key-service/test/running-key-service.ts';

const main = join(import.meta.dirname, '../../apps/key-service/src/main.ts');
const people = ['a', 'b', 'c'].map((name) => `${name}@alpha.test`);
/** The smallest file that a configuration allows; the template's log is filled to just below. */
const segmentBytes = 64 * 1024;
const startMs = 30_000;
/** More points than any of the two has; the run ends by itself when the process outlives them. */
const mostPoints = 150;

const hasStrace = spawnSync('strace', ['-V']).status === 0;
let place: TemporaryDirectory;
let config: Installation;
let configFile: string;

before(async () => {
  place = await temporaryDirectory();
  const audit = { file: join(place.path, 'audit', 'audit.log'), segmentBytes };
  configFile = writeConfig(place.path, await freePort(), await freePort(), { keyServer: { audit } });
  assert.equal(runInit(configFile).status, 0);
  config = loadConfig(configFile);
  const child = start([]);
  const operator = await opened(child);
  assert.ok(operator);
  const size = () => readFileSync(audit.file).length;
  while (size() < segmentBytes - 2_500) await operator.call('audit-address', { address: 'x@alpha.test' });
  await end(child, operator);
  for (const part of ['keys', 'audit'])
    cpSync(join(place.path, part), join(place.path, `kept-${part}`), { recursive: true });
});

after(() => place.remove());

function start(under: readonly string[]): ChildProcess {
  const [command = process.execPath, ...args] = [...under, process.execPath, main, '--config', configFile];
  // One thread for files, so that the points come in one order.
  return spawn(command, args, { stdio: 'ignore', detached: true, env: { ...process.env, UV_THREADPOOL_SIZE: '1' } });
}

/** Undefined when the process ended before it answered. */
async function opened(child: ChildProcess): Promise<KeyConnection | undefined> {
  const operator = openKeyConnection(config.keyService, 'operator');
  for (const deadline = Date.now() + startMs; Date.now() < deadline; await wait(50)) {
    if (child.exitCode !== null || child.signalCode !== null) break;
    const sealed = await operator.call('status', {}).then(
      ({ sealed }) => sealed,
      () => true,
    );
    if (!sealed) return operator;
  }
  operator.close();
  return undefined;
}

async function end(child: ChildProcess, operator: KeyConnection | undefined): Promise<void> {
  operator?.close();
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  await gone;
}

/** What was answered before the process died; `outlived` when it did not. */
async function killedAt(point: number, { calls, files }: Case): Promise<{ answered: string[]; outlived: boolean }> {
  for (const part of ['keys', 'audit']) {
    rmSync(join(place.path, part), { recursive: true });
    cpSync(join(place.path, `kept-${part}`), join(place.path, part), { recursive: true });
  }
  const only = files.flatMap((file) => ['-P', join(place.path, file)]);
  const inject = ['-e', `trace=${calls}`, '-e', `inject=${calls}:signal=SIGKILL:when=${point}`];
  const child = start(['strace', '-f', '-qq', '-o', '/dev/null', ...only, ...inject]);
  const gone = once(child, 'exit');
  const operator = await opened(child);
  const answered: string[] = [];
  for (const address of operator ? people : []) {
    const isDone = await operator?.call('identity-add', { address, algorithm: 'p-256' }).then(
      () => true,
      () => false,
    );
    if (!isDone) break;
    answered.push(address);
  }
  const outlived = answered.length === people.length && child.exitCode === null && child.signalCode === null;
  operator?.close();
  // The group: strace would leave the process that it watches.
  if (child.exitCode === null && child.signalCode === null) process.kill(-(child.pid ?? assert.fail()), 'SIGKILL');
  await gone;
  return { answered, outlived };
}

/** Starts it again and compares what is there with what was answered and with the log. */
async function judge(answered: readonly string[], name: string): Promise<void> {
  const { file } = config.keyServer.audit;
  assert.notEqual((await verifyLog(file)).verdict, 'tampered', name);
  const child = start([]);
  const operator = await opened(child);
  assert.ok(operator, `${name}: it opens again`);
  const { identities } = await operator.call('identity-list', {});
  const there = identities.map(({ address }) => address);
  for (const address of answered) assert.ok(there.includes(address), `${name}: ${address} was answered`);
  const hashes = await Promise.all(
    there.map(async (address) => (await operator.call('audit-address', { address })).hash),
  );
  await end(child, operator);
  assert.equal((await verifyLog(file)).verdict, 'genuine', name);
  const log = readdirSync(join(place.path, 'audit'))
    .filter((each) => each.startsWith('audit.log'))
    .map((each) => readFileSync(join(place.path, 'audit', each), 'utf8'))
    .join('');
  const intents = log.split('\n').filter((line) => line.includes('"kind":"intent","operation":"identity-add"'));
  for (const hash of hashes)
    assert.ok(
      intents.some((line) => line.includes(hash)),
      `${name}: its intent is on record`,
    );
  const outcomes = log.match(/"kind":"outcome","operation":"identity-add"[^\n]*"result":"ok"/g) ?? [];
  assert.ok(outcomes.length >= answered.length, `${name}: each answer's outcome is on record`);
}

interface Case {
  /** Each is counted by itself. A kill before a synchronisation is one after the write before it: the kernel keeps what it has. */
  readonly calls: string;
  readonly files: readonly string[];
  readonly least: number;
}

const auditFiles = ['audit', 'audit/audit.log', 'audit/audit.log.next'];
const storeFiles = ['keys', 'keys/store.sqlite', 'keys/store.sqlite-wal', 'keys/store.sqlite-journal'];
const cases: Readonly<Record<string, Case>> = {
  'write of the audit log': { calls: 'pwrite64', files: auditFiles, least: 6 },
  'step of beginning a new file of the audit log': { calls: 'rename', files: auditFiles, least: 2 },
  'write of the store': { calls: 'pwrite64,write,ftruncate,unlink', files: storeFiles, least: 20 },
};

for (const [name, each] of Object.entries(cases)) {
  test(`SIGKILL at each ${name} loses and unlogs nothing`, { skip: !hasStrace, timeout: 900_000 }, async (context) => {
    let point = 1;
    for (; point <= mostPoints; point++) {
      const { answered, outlived } = await killedAt(point, each);
      if (outlived) break;
      await judge(answered, `${name}, point ${point}`);
    }
    context.diagnostic(`${point - 1} points`);
    assert.ok(point > each.least && point <= mostPoints, `${point - 1} points`);
  });
}
