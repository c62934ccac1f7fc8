// The audit log in several files: one chain over all of them, each verifiable without those before it, whole whenever a crash
// comes between the steps, and failing closed when the disk is full (a real limit) or the file is no longer where it was.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { cpSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { codeOf, type Log } from '@sealpost/core';
import { type AuditEntry, parseHead, readLog, readSegment, segmentsOf, verifyLog } from '@sealpost/service';
import { temporaryDirectory } from '@sealpost/testkit';
import { type HeadSigner, headSigner } from '../src/audit/head-signer.ts';
import type { Journal } from '../src/audit/journal.ts';
import { holdsMemory, openLog } from '../src/audit/open-log.ts';
import { runKeyService } from './running-key-service.ts';

const signer = headSigner('ab'.repeat(16), generateKeyPairSync('ed25519').privateKey);
const segmentBytes = 2_000;
const silent: Log = { event: () => undefined };
const clock = { now: () => new Date('2026-01-01T00:00:00Z') };

const entry = (message: string): AuditEntry => ({
  at: clock.now(),
  kind: 'intent',
  operation: 'lease',
  request: 'r',
  actor: { role: 'crypto-worker', name: 'default' },
  message,
});

async function reopened(file: string, by: HeadSigner = signer): Promise<Journal> {
  const journal = await openLog({ file, deadlineMs: 2_000, segmentBytes, log: silent, clock });
  assert.ok(journal, 'the log is genuine');
  journal.signWith(by);
  return journal;
}

/** A log of some files; gives what the store would remember of it. */
async function written(file: string, records: number) {
  const journal = await reopened(file);
  for (let at = 0; at < records; at++) await journal.append(entry(`m${at}`));
  const at = journal.head();
  const held = { head: parseHead(journal.signedHead() ?? '') ?? assert.fail(), key: signer.key };
  await journal.close();
  return { memory: { log: signer.log, replaced: [], ...at }, held };
}

test('how many changes the store had is found in the last file alone, and nowhere else in a record', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'audit.log');
  let commits = 41;
  const journal = await reopened(file);
  journal.signWith(signer, () => commits);
  await journal.append(entry('x","commits":99,"'));
  for (; commits < 60; commits++) await journal.append(entry(`m${commits}`));
  await journal.close();
  assert.ok((await segmentsOf(file)).length > 2);
  const again = await reopened(file);
  assert.equal(again.commits(), 59);
  // A whole file by a process that never opened the store: the next one begins with what is known.
  for (let at = 0; at < 12; at++) await again.append(entry('sealed'));
  await again.close();
  const last = await openLog({ file, deadlineMs: 2_000, segmentBytes, log: silent, clock });
  assert.equal(last?.commits(), 59);
  await last?.close();
  const strange = join(directory.path, 'strange.log');
  const other = await reopened(strange);
  await other.append(entry('x","commits":99,"'));
  await other.close();
  const read = await reopened(strange);
  assert.equal(read.commits(), 0);
  await read.close();
});

test('a full file is closed, the next begins with a checkpoint, and the chain goes on over starts', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'audit.log');
  await written(file, 30);
  const { memory, held } = await written(file, 30);
  const files = await segmentsOf(file);
  assert.ok(files.length > 5);
  const report = await verifyLog(file, held);
  assert.deepEqual([report.verdict, report.from, report.signedUntil], ['genuine', 1, held.head.seq]);
  assert.equal(report.checkpoints, files.length - 1);
  const journal = await reopened(file);
  assert.equal(await holdsMemory(file, memory, journal, signer), true);
  assert.equal(journal.head().head.seq, held.head.seq);
  await journal.close();
});

test('older files may be kept elsewhere, and each is verified by itself; one that is missing between, or swapped, is found', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'audit.log');
  const { held } = await written(file, 60);
  const [first = '', second = '', third = '', fourth = ''] = await segmentsOf(file);
  const alone = await verifyLog(third, { head: held.head, key: held.key });
  assert.deepEqual([alone.fault, alone.from], ['shorter-than-held', Number(third.slice(-15))]);
  assert.equal((await readSegment(second, undefined)).kind, 'genuine');

  const elsewhere = join(directory.path, 'elsewhere');
  renameSync(first, elsewhere);
  const rest = await verifyLog(file, held);
  assert.deepEqual([rest.verdict, rest.from], ['genuine', Number(second.slice(-15))]);
  renameSync(third, `${elsewhere}.3`);
  assert.equal((await verifyLog(file, held)).fault, 'record-changed');
  cpSync(fourth, third);
  assert.equal((await verifyLog(file, held)).verdict, 'tampered');
  cpSync(`${elsewhere}.3`, third);
  assert.equal((await verifyLog(file, held)).verdict, 'genuine');
  // An end torn off is for the file that was written last, and no other.
  writeFileSync(third, readFileSync(third).subarray(0, -10));
  assert.equal((await verifyLog(file, held)).verdict, 'tampered');
});

test('a file that begins with somebody else’s checkpoint, or another part of the log, is not what the store remembers', async () => {
  await using directory = await temporaryDirectory();
  const [file, other] = [join(directory.path, 'audit.log'), join(directory.path, 'other.log')];
  const early = await written(file, 12);
  const { memory } = await written(file, 40);
  const forger = headSigner(signer.log, generateKeyPairSync('ed25519').privateKey);
  const forged = await reopened(other, forger);
  for (let at = 0; at < 80; at++) await forged.append(entry(`f${at}`));
  await forged.close();
  cpSync(other, file);
  const journal = await reopened(file);
  assert.ok(journal.head().segment > memory.segment);
  assert.equal(await holdsMemory(file, memory, journal, signer), false);
  await journal.close();
  assert.equal((await verifyLog(file)).verdict, 'tampered');
  // Its own older end: the remembered line is in a later file.
  for (const name of await segmentsOf(file)) if (name !== (await segmentsOf(file))[0]) rmSync(name);
  renameSync((await segmentsOf(file))[0] ?? '', file);
  const older = await reopened(file);
  assert.equal(await holdsMemory(file, memory, older, signer), false);
  assert.notEqual(early.memory.segment, memory.segment);
  await older.close();
});

test('a crash between any two steps of closing a file loses nothing', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'audit.log');
  const { memory } = await written(file, 30);
  const closed = (await segmentsOf(file)).at(-2) ?? '';
  const [before, now] = [readFileSync(closed), readFileSync(file)];
  const firstLine = now.subarray(0, now.indexOf(10) + 1);
  const states: Record<string, Record<string, Buffer>> = {
    'new file empty': { [file]: before, [`${file}.next`]: Buffer.alloc(0) },
    'new file half written': { [file]: before, [`${file}.next`]: firstLine.subarray(0, 100) },
    'new file whole': { [file]: before, [`${file}.next`]: firstLine },
    'no file by the name': { [closed]: before, [`${file}.next`]: firstLine },
    done: { [closed]: before, [file]: firstLine },
  };
  for (const [name, files] of Object.entries(states)) {
    for (const each of [file, closed, `${file}.next`]) rmSync(each, { force: true });
    for (const [each, bytes] of Object.entries(files)) writeFileSync(each, bytes);
    const journal = await reopened(file);
    const remembered = { ...memory, head: (await readSegment(closed, undefined)).head, end: before.length };
    const segment = Number(basename(closed).slice(-15));
    if (name.startsWith('no') || name === 'done') {
      assert.equal(await holdsMemory(file, { ...remembered, segment }, journal, signer), true, name);
    }
    await journal.append(entry('after the crash'));
    await journal.close();
    assert.equal((await verifyLog(file)).verdict, 'genuine', name);
    assert.match(readFileSync(file, 'utf8'), /after the crash/);
  }
  rmSync(file);
  assert.equal(await openLog({ file, deadlineMs: 1_000, segmentBytes, log: silent, clock }), undefined);
});

test('a log that was moved away or removed fails, and goes on when it is back', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'audit.log');
  const journal = await reopened(file);
  await journal.append(entry('first'));
  renameSync(file, `${file}.away`);
  await assert.rejects(journal.append(entry('lost')), (error) => codeOf(error) === 'audit-unavailable');
  writeFileSync(file, '');
  await assert.rejects(journal.append(entry('lost too')), (error) => codeOf(error) === 'audit-unavailable');
  renameSync(`${file}.away`, file);
  await journal.append(entry('second'));
  await journal.close();
  const state = await readLog(file);
  assert.deepEqual([state.kind, state.head.seq], ['genuine', 2]);
});

test('on a full disk every operation on keys is refused in time, and what was answered is on record when there is room again', async () => {
  await using service = await runKeyService();
  const operator = service.call('operator');
  const ask = () => operator.call('audit-address', { address: 'a@alpha.test' });
  const limit = (bytes: string) => execFileSync('prlimit', ['--pid', String(service.pid()), `--fsize=${bytes}`]);
  const file = service.config.keyServer.audit.file;
  let answered = 0;
  const count = () => {
    answered += 1;
  };
  await ask().then(count);
  // The file may not grow any further: what a full disk says, by the kernel.
  limit(`${readFileSync(file).length + 900}:unlimited`);
  const started = Date.now();
  const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => ask().then(count)));
  assert.ok(outcomes.some(({ status }) => status === 'rejected'));
  for (const each of outcomes) {
    if (each.status === 'rejected') assert.equal(codeOf(each.reason), 'audit-unavailable');
  }
  await assert.rejects(ask(), (error) => codeOf(error) === 'audit-unavailable');
  await assert.rejects(operator.call('identity-add', { address: 'late@alpha.test', algorithm: 'p-256' }));
  assert.ok(Date.now() - started < 8_000);
  limit('unlimited:unlimited');
  await ask().then(count);
  await service.end();
  const log = readFileSync(file, 'utf8');
  assert.equal(log.match(/"kind":"outcome","operation":"audit-address"[^\n]*"result":"ok"/g)?.length, answered);
  assert.equal((await verifyLog(file)).verdict, 'genuine');
});
