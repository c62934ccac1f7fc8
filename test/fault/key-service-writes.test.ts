// SIGKILL of the key service at each single write, synchronisation and renaming of its audit log and of its store, one after the other
// (by strace's injection, on the real process): what was answered is there and on record, what is there has its intent on record, and
// the next start opens without a person. Skipped where strace is not installed.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { verifyLog } from '@sealpost/service';
import {
  auditFiles,
  type Bench,
  hasStrace,
  kill,
  openBench,
  type Point,
  storeCalls,
  storeFiles,
} from './write-points.ts';

const people = ['a', 'b', 'c'].map((name) => `${name}@alpha.test`);
/** The smallest file that a configuration allows; the template's log is filled to just below. */
const segmentBytes = 64 * 1024;
/** More points than any of the two has; the run ends by itself when the process outlives them. */
const mostPoints = 150;

let bench: Bench;

before(async () => {
  bench = await openBench({ segmentBytes });
  const child = bench.start();
  const { operator, sealed = true } = (await bench.reached(child)) ?? {};
  assert.equal(sealed, false);
  const size = () => readFileSync(bench.config.keyServer.audit.file).length;
  while (size() < segmentBytes - 2_500) await operator?.call('audit-address', { address: 'x@alpha.test' });
  await bench.end(child, operator);
  bench.keep();
});

after(() => bench[Symbol.asyncDispose]());

/** What was answered before the process died; `outlived` when it did not. */
async function killedAt(point: Point): Promise<{ answered: string[]; outlived: boolean }> {
  bench.reset();
  const child = bench.start(point);
  const reached = await bench.reached(child);
  const answered: string[] = [];
  for (const address of reached?.sealed === false ? people : []) {
    const isDone = await reached?.operator.call('identity-add', { address, algorithm: 'p-256' }).then(
      () => true,
      () => false,
    );
    if (!isDone) break;
    answered.push(address);
  }
  const outlived = answered.length === people.length && child.exitCode === null && child.signalCode === null;
  reached?.operator.close();
  await kill(child);
  return { answered, outlived };
}

/** Starts it again and compares what is there with what was answered and with the log. */
async function judge(answered: readonly string[], name: string): Promise<void> {
  const { file } = bench.config.keyServer.audit;
  assert.notEqual((await verifyLog(file)).verdict, 'tampered', name);
  const child = bench.start();
  const reached = await bench.reached(child);
  assert.ok(reached?.sealed === false, `${name}: it opens again`);
  const { operator } = reached;
  const { identities } = await operator.call('identity-list', {});
  const there = identities.map(({ address }) => address);
  for (const address of answered) assert.ok(there.includes(address), `${name}: ${address} was answered`);
  const hashes = await Promise.all(
    there.map(async (address) => (await operator.call('audit-address', { address })).hash),
  );
  await bench.end(child, operator);
  assert.equal((await verifyLog(file)).verdict, 'genuine', name);
  const log = bench.log();
  const intents = log.split('\n').filter((line) => line.includes('"kind":"intent","operation":"identity-add"'));
  for (const hash of hashes)
    assert.ok(
      intents.some((line) => line.includes(hash)),
      `${name}: its intent is on record`,
    );
  const outcomes = log.match(/"kind":"outcome","operation":"identity-add"[^\n]*"result":"ok"/g) ?? [];
  assert.ok(outcomes.length >= answered.length, `${name}: each answer's outcome is on record`);
}

interface Case extends Omit<Point, 'at'> {
  readonly least: number;
}

const cases: Readonly<Record<string, Case>> = {
  'write of the audit log': { calls: 'pwrite64', files: auditFiles, least: 6 },
  'step of beginning a new file of the audit log': { calls: 'rename', files: auditFiles, least: 2 },
  'write of the store': { calls: storeCalls, files: storeFiles, least: 20 },
};

for (const [name, each] of Object.entries(cases)) {
  test(`SIGKILL at each ${name} loses and unlogs nothing`, { skip: !hasStrace, timeout: 900_000 }, async (context) => {
    let at = 1;
    for (; at <= mostPoints; at++) {
      const { answered, outlived } = await killedAt({ ...each, at });
      if (outlived) break;
      await judge(answered, `${name}, point ${at}`);
    }
    context.diagnostic(`${at - 1} points`);
    assert.ok(at > each.least && at <= mostPoints, `${at - 1} points`);
  });
}
