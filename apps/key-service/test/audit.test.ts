// The audit log: what is on disk is whole and in order, what a crash tore is told apart from what somebody changed, and a disk
// that fails or hangs makes the operation fail.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { appendFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { codeOf } from '@sealpost/core';
import { type AuditEntry, chainStart, holdsHead, parseHead, readLog, verifyLog } from '@sealpost/service';
import { temporaryDirectory } from '@sealpost/testkit';
import { headSigner } from '../src/audit/head-signer.ts';
import { type Journal, openJournal } from '../src/audit/journal.ts';
import { fileSink, type Sink } from '../src/audit/sink.ts';

const entry = (message: string): AuditEntry => ({
  at: new Date('2026-01-01T00:00:00Z'),
  kind: 'intent',
  operation: 'lease',
  request: 'r',
  actor: { role: 'crypto-worker', name: 'default' },
  message,
});

const unavailable = (error: unknown): boolean => codeOf(error) === 'audit-unavailable';

function journalOn(sink: Sink, deadlineMs = 1_000): { journal: Journal; failures: unknown[] } {
  const failures: unknown[] = [];
  const journal = openJournal(sink, {
    head: chainStart,
    end: 0,
    deadlineMs,
    onFailure: (error) => failures.push(error),
  });
  return { journal, failures };
}

async function writtenLog(file: string, records: number): Promise<Journal> {
  const { journal } = journalOn(await fileSink(file));
  await Promise.all(Array.from({ length: records }, (_, at) => journal.append(entry(`m${at}`))));
  await journal.close();
  return journal;
}

test('records that are written at once stand in one chain, each on disk before its writer is told', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'audit.log');
  const { journal } = journalOn(await fileSink(file));
  await Promise.all(
    Array.from({ length: 1_000 }, async (_, at) => {
      await journal.append(entry(`m${at}`));
      assert.ok(readFileSync(file, 'utf8').includes(`"message":"m${at}"`));
    }),
  );
  const { head, end } = journal.head();
  assert.deepEqual(await readLog(file), { kind: 'genuine', start: chainStart, head, end, torn: 0 });
  assert.equal(head.seq, 1_000);
  await journal.close();
});

test('every flipped byte, every line taken out and every two lines swapped are found', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'audit.log');
  await writtenLog(file, 4);
  const whole = readFileSync(file);
  const changed = join(directory.path, 'changed.log');
  const judge = async (bytes: Buffer | string): Promise<string> => {
    writeFileSync(changed, bytes);
    return (await readLog(changed)).kind;
  };
  // Without its last line end the log is torn, not changed; zeros are what a disk leaves behind.
  for (let at = 0; at < whole.length - 1; at++) {
    const bytes = Buffer.from(whole);
    bytes[at] = (bytes[at] ?? 0) ^ 0x01;
    assert.equal(await judge(bytes), 'tampered', `byte ${at}`);
  }
  const lines = whole.toString().split(/(?<=\n)/);
  for (let at = 0; at < lines.length - 1; at++) {
    assert.equal(await judge(lines.toSpliced(at, 1).join('')), 'tampered', `line ${at} taken out`);
    assert.equal(await judge(lines.toSpliced(at, 2, lines[at + 1] ?? '', lines[at] ?? '').join('')), 'tampered');
  }
  assert.equal(await judge([...lines, lines[3] ?? ''].join('')), 'tampered');
  assert.equal(await judge(`${whole.toString()}not a record\n`), 'tampered');
});

test('a line that a crash cut short, or blocks it left empty, end the log before them', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'audit.log');
  const journal = await writtenLog(file, 3);
  const { head, end } = journal.head();
  const sector = Buffer.alloc(4_096 - (end % 512));
  const afterSector = Buffer.concat([
    Buffer.from('{"v"'.padEnd(512 - (end % 512))),
    Buffer.alloc(512),
    Buffer.from('x\n'),
  ]);
  for (const tail of [Buffer.from('{"v":1,"suite":1,"seq":4,"at"'), sector, afterSector]) {
    truncateSync(file, end);
    appendFileSync(file, tail);
    assert.deepEqual(await readLog(file), { kind: 'genuine', start: chainStart, head, end, torn: tail.length });
  }
});

test('zeros where no disk leaves them are a change', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'audit.log');
  await writtenLog(file, 3);
  appendFileSync(file, '{"v"\0\0\0\n');
  assert.equal((await readLog(file)).kind, 'tampered');
});

test('a chain that was cut or written anew does not hold the head that the store remembers', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'audit.log');
  const { head, end } = (await writtenLog(file, 3)).head();
  assert.equal(await holdsHead(file, end, head), true);
  appendFileSync(file, 'more\n');
  assert.equal(await holdsHead(file, end, head), true);
  truncateSync(file, end - 1);
  assert.equal(await holdsHead(file, end, head), false);
  assert.equal(await holdsHead(join(directory.path, 'none.log'), end, head), false);
  await writtenLog(join(directory.path, 'other.log'), 2);
  assert.equal(await holdsHead(join(directory.path, 'other.log'), end, head), false);
});

test('after a write that failed the operation fails, and the next record takes the place of what was left behind', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'audit.log');
  const real = await fileSink(file);
  let isFull = false;
  const { journal, failures } = journalOn({
    ...real,
    async write(bytes, at) {
      if (!isFull) return await real.write(bytes, at);
      await real.write(bytes.subarray(0, bytes.length / 2), at);
      throw new Error('no space');
    },
  });
  await journal.append(entry('first'));
  isFull = true;
  await assert.rejects(journal.append(entry('lost')), unavailable);
  await assert.rejects(journal.append(entry('lost too')), unavailable);
  assert.equal(journal.isFailing(), true);
  assert.equal(failures.length, 1);
  isFull = false;
  await journal.append(entry('second'));
  assert.equal(journal.isFailing(), false);
  const { head, end } = journal.head();
  assert.deepEqual(await readLog(file), { kind: 'genuine', start: chainStart, head, end, torn: 0 });
  assert.equal(head.seq, 2);
  assert.doesNotMatch(readFileSync(file, 'utf8'), /lost/);
  await journal.close();
});

test('with a signer, a thousand records are never without a checkpoint, and one that is asked for covers all before it', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'audit.log');
  const { journal } = journalOn(await fileSink(file));
  await journal.append(entry('before the store was open'));
  assert.equal(journal.signedHead(), undefined);
  const { privateKey } = generateKeyPairSync('ed25519');
  const signer = headSigner('ab'.repeat(16), privateKey);
  journal.signWith(signer);
  await Promise.all(Array.from({ length: 2_500 }, (_, at) => journal.append(entry(`m${at}`))));
  const head = parseHead(journal.signedHead() ?? '');
  assert.ok(head);
  assert.equal(journal.hashAt(head.seq), head.hash);
  assert.equal((await verifyLog(file, { head, key: signer.key })).checkpoints, 2);

  await journal.checkpoint(new Date());
  await journal.checkpoint(new Date());
  const { seq } = journal.head().head;
  const report = await verifyLog(file);
  assert.deepEqual([report.verdict, report.checkpoints, report.signedUntil], ['genuine', 3, seq - 1]);
  assert.equal(seq, 2_504);
  journal.signWith(undefined);
  assert.equal(journal.signedHead(), undefined);
  await journal.close();
});

test('a disk that hangs makes operations fail within their deadline; nothing else is written before it answers', async () => {
  const deadlineMs = 500;
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'audit.log');
  const real = await fileSink(file);
  let release: (() => void) | undefined;
  let hangs = true;
  const { journal } = journalOn(
    {
      ...real,
      async sync() {
        if (hangs) await new Promise<void>((resolve) => (release = resolve));
        await real.sync();
      },
    },
    deadlineMs,
  );
  const started = Date.now();
  await assert.rejects(journal.append(entry('hung')), unavailable);
  assert.ok(Date.now() - started < 10 * deadlineMs);
  const again = Date.now();
  await assert.rejects(journal.append(entry('at once')), unavailable);
  assert.ok(Date.now() - again < deadlineMs, 'it does not wait a second time');
  hangs = false;
  release?.();
  // It is back as soon as the hung write has come to its end, which takes a busy machine a moment.
  for (let tries = 0; journal.isFailing() && tries < 100; tries++) {
    await wait(50);
    await journal.append(entry('after')).catch(() => undefined);
  }
  assert.ok(!journal.isFailing());
  const { head, end } = journal.head();
  assert.deepEqual(await readLog(file), { kind: 'genuine', start: chainStart, head, end, torn: 0 });
  assert.doesNotMatch(readFileSync(file, 'utf8'), /hung|at once/);
  await journal.close();
});
