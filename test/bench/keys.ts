// What the key service does in a second: leases over mTLS by a real process, with both audit records of each on disk, and audit
// records by themselves; each beside the bare primitive, measured in turns in one run so that the ratio holds on a busy machine too.
// Usage: node test/bench/keys.ts [--json] [--seconds N]      N for each of the four, 6 unless told

import { createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { setupSender } from '@sealpost/core';
import { type AuditEntry, chainStart, readLog } from '@sealpost/service';
import { temporaryDirectory } from '@sealpost/testkit';
import { headSigner } from '../../apps/key-service/src/audit/head-signer.ts';
import { type Journal, openJournal } from '../../apps/key-service/src/audit/journal.ts';
import { fileSink } from '../../apps/key-service/src/audit/sink.ts';
import { cpuOf } from './cpu.ts';
import { type KeySide, startKeySide } from './key-side.ts';

/** Requests and records that wait at the same time: what some workers with full pipelines give. */
const concurrency = 64;
/** Short turns by turns, so that the machine's noise meets both; medians, so that one bad turn does not count. */
const turns = 5;

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, seconds: { type: 'string', default: '6' } },
});
const turnMs = (Number(values.seconds) * 1_000) / turns;

await using directory = await temporaryDirectory();
await using side = await startKeySide();
const file = join(directory.path, 'audit.log');
const groups: number[] = [];
const journal = await recording(file);

await leases(side, turnMs);
await records(journal, turnMs);
const cpuMs: number[] = [];
const workerMs: number[] = [];
const measured = { leases: [] as number[], seals: [] as number[], records: [] as number[], syncs: [] as number[] };
for (let turn = 0; turn < turns; turn += 1) {
  const [cpu, own, before] = [cpuOf([side.pid]), cpuOf([process.pid]), side.leases()];
  measured.leases.push(await leases(side, turnMs));
  cpuMs.push((cpuOf([side.pid]) - cpu) / (side.leases() - before));
  workerMs.push((cpuOf([process.pid]) - own) / (side.leases() - before));
  measured.seals.push(seals(turnMs));
  measured.records.push(await records(journal, turnMs));
  measured.syncs.push(syncs(join(directory.path, 'raw'), turnMs));
}
const written = journal.head().head.seq;
await journal.close();
// No record dropped: what was answered for stands in the file, in one chain.
const state = await readLog(file);
const whole = state.kind === 'genuine' && state.torn === 0 && state.head.seq === written;
const served = await side.stop();

const result = {
  name: 'keys',
  concurrency,
  leasesPerSecond: median(measured.leases),
  /** Processor time of the key service for one: what remains when others have the machine. */
  leaseCpuMs: median(cpuMs),
  /** The same in this process, which asks as a worker does. */
  workerCpuMs: median(workerMs),
  /** HPKE seals of the same key in this process. */
  sealsPerSecond: median(measured.seals),
  leasesToSeals: ratio(measured.leases, measured.seals),
  leasesRecorded: served.recorded === served.leases,
  auditRecordsPerSecond: median(measured.records),
  /** One line written and synchronised after the other. */
  syncsPerSecond: median(measured.syncs),
  recordsToSyncs: ratio(measured.records, measured.syncs),
  recordsInGroup: median(groups),
  auditWhole: whole,
};
if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
else for (const [name, value] of Object.entries(result)) process.stdout.write(`${name.padEnd(24)} ${value}\n`);
if (!whole || !result.leasesRecorded) process.exitCode = 1;

/** Leases by a worker's credential, each with a ticket that justifies it. */
async function leases(of: KeySide, forMs: number): Promise<number> {
  return await perSecond(forMs, () => of.lease());
}

async function records(on: Journal, forMs: number): Promise<number> {
  return await perSecond(forMs, () => on.append(entry()));
}

async function perSecond(forMs: number, act: () => Promise<unknown>): Promise<number> {
  let done = 0;
  const start = performance.now();
  const actors = Array.from({ length: concurrency }, async () => {
    while (performance.now() - start < forMs) {
      await act();
      done += 1;
    }
  });
  await Promise.all(actors);
  return done / ((performance.now() - start) / 1_000);
}

function seals(forMs: number): number {
  const secret = side.secret;
  const { publicKey } = generateKeyPairSync('x25519');
  const none = Buffer.alloc(0);
  let done = 0;
  const start = performance.now();
  for (; performance.now() - start < forMs; done += 1) setupSender(publicKey, none).seal(none, secret);
  return done / ((performance.now() - start) / 1_000);
}

function syncs(name: string, forMs: number): number {
  const handle = openSync(name, 'w');
  const line = randomBytes(600);
  let done = 0;
  const start = performance.now();
  for (; performance.now() - start < forMs; done += 1) {
    writeSync(handle, line);
    fdatasyncSync(handle);
  }
  closeSync(handle);
  return done / ((performance.now() - start) / 1_000);
}

async function recording(name: string): Promise<Journal> {
  const on = openJournal(await fileSink(name), {
    head: chainStart,
    end: 0,
    deadlineMs: 10_000,
    onFailure: (error) => {
      throw error;
    },
    onGroup: (count) => groups.push(count),
  });
  const pem = generateKeyPairSync('ed25519').privateKey;
  on.signWith(headSigner('0'.repeat(32), createPrivateKey(pem.export({ format: 'pem', type: 'pkcs8' }))));
  return on;
}

function entry(): AuditEntry {
  return {
    at: new Date(),
    kind: 'intent',
    operation: 'lease',
    request: '01234567-89ab-cdef-0123-456789abcdef',
    actor: { role: 'crypto-worker', name: 'default', certificate: 'a'.repeat(64) },
    instance: 'worker-1',
    tenant: 'alpha',
    key: `alpha/${'b'.repeat(32)}/signing/1`,
    message: '0'.repeat(32),
  };
}

function ratio(these: readonly number[], those: readonly number[]): number {
  return median(these.map((each, turn) => each / (those[turn] ?? 1)));
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}
