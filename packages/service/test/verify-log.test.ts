// The audit log verified without the service: every change to every record is found, also by somebody who makes the hashes right
// again; an end that a crash tore off is told apart from one that was cut off.

import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type TemporaryDirectory, temporaryDirectory } from '@sealpost/testkit';
import fc from 'fast-check';
import { type AuditEntry, type ChainHead, type Checkpoint, chainLine, chainStart } from '../src/audit/chain.ts';
import { formatHead, signHead } from '../src/audit/signed-head.ts';
import { type HeldHead, verifyLog } from '../src/audit/verify-log.ts';

const records = 24;
/** A checkpoint after so many records, and one at the end. */
const every = 7;
const at = new Date('2026-01-01T00:00:00Z');
const logName = 'ab'.repeat(16);
const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const key = publicKey.export({ format: 'der', type: 'spki' }).toString('base64');
const foreign = generateKeyPairSync('ed25519');
const foreignKey = foreign.publicKey.export({ format: 'der', type: 'spki' }).toString('base64');

type Line = AuditEntry | Checkpoint;

let directory: TemporaryDirectory;
let genuine: { readonly entries: Line[]; readonly lines: string[]; readonly heads: ChainHead[] };
let held: HeldHead;

before(async () => {
  directory = await temporaryDirectory();
  const entries: Line[] = [];
  let head = chainStart;
  for (let at = 1; at <= records; at++) {
    const entry = at % every === 0 || at === records ? checkpointAt(head) : entryOf(at);
    entries.push(entry);
    ({ head } = chainLine(entry, head));
  }
  genuine = { entries, ...chained(entries) };
  held = { head: signHead(logName, genuine.heads.at(-1) ?? chainStart, privateKey), key };
});

after(() => directory.remove());

function entryOf(number: number): AuditEntry {
  const actor = { role: 'crypto-worker', name: 'default' };
  return { at, kind: 'intent', operation: 'lease', request: `r${number}`, actor, message: `m${number}` };
}

function checkpointAt(head: ChainHead, signer = privateKey, named = key): Checkpoint {
  return { at, kind: 'checkpoint', head: formatHead(signHead(logName, head, signer)), key: named };
}

/** Lines with the right hashes, whatever the entries say. */
function chained(entries: readonly Line[]): { lines: string[]; heads: ChainHead[] } {
  let head = chainStart;
  const heads: ChainHead[] = [];
  const lines = entries.map((entry) => {
    const next = chainLine(entry, head);
    head = next.head;
    heads.push(head);
    return next.line;
  });
  return { lines, heads };
}

async function judge(content: string | Buffer | readonly string[], holding?: HeldHead) {
  const file = join(directory.path, 'judged.log');
  writeFileSync(file, typeof content === 'string' || Buffer.isBuffer(content) ? content : content.join(''));
  return await verifyLog(file, holding);
}

test('a log as the service wrote it is genuine, and its signatures reach to its last checkpoint', async () => {
  const report = await judge(genuine.lines, held);
  assert.deepEqual(report, {
    verdict: 'genuine',
    from: 1,
    records,
    head: genuine.heads.at(-1),
    torn: 0,
    checkpoints: 4,
    signedUntil: records,
    key: createHash('sha256').update(Buffer.from(key, 'base64')).digest('hex'),
    keyHeld: true,
  });
  const alone = await judge(genuine.lines);
  assert.deepEqual([alone.verdict, alone.signedUntil, alone.keyHeld], ['genuine', records - 1, false]);
});

test('every record that is changed, taken out, doubled or moved is found', async () => {
  const anyRecord = fc.integer({ min: 0, max: records - 1 });
  await fc.assert(
    fc.asyncProperty(
      anyRecord,
      anyRecord,
      fc.nat(),
      fc.integer({ min: 0, max: 255 }),
      async (one, two, place, byte) => {
        const line = genuine.lines[one] ?? '';
        const changed = Buffer.from(line, 'utf8');
        // The line's end is not part of it: without the last one the log is torn.
        const index = place % (changed.length - 1);
        fc.pre(changed[index] !== byte && one !== two);
        changed[index] = byte;
        const before = Buffer.from(genuine.lines.slice(0, one).join(''));
        const rest = Buffer.from(genuine.lines.slice(one + 1).join(''));
        const report = await judge(Buffer.concat([before, changed, rest]));
        assert.equal(report.verdict, 'tampered', `byte ${index} of record ${one + 1}`);
        assert.ok(report.records <= one);

        const moved = genuine.lines.toSpliced(one, 1).toSpliced(two, 0, line);
        assert.equal((await judge(moved)).verdict, 'tampered', `record ${one + 1} moved to ${two + 1}`);
        assert.equal((await judge(genuine.lines.toSpliced(two, 0, line))).verdict, 'tampered', `${one + 1} doubled`);
      },
    ),
    { numRuns: 150 },
  );
  for (let at = 0; at < records; at++) {
    const without = await judge(genuine.lines.toSpliced(at, 1), held);
    assert.equal(without.verdict, 'tampered', `record ${at + 1} taken out`);
  }
});

test('somebody who makes the hashes right again is found by the next checkpoint', async () => {
  for (let at = 0; at < records - 1; at++) {
    const entry = genuine.entries[at];
    if (!entry || entry.kind === 'checkpoint') continue;
    const changed = genuine.entries.with(at, { ...entry, message: 'another' });
    const report = await judge(chained(changed).lines);
    assert.deepEqual([report.verdict, report.fault], ['tampered', 'checkpoint-forged'], `record ${at + 1}`);
    const without = await judge(chained(genuine.entries.toSpliced(at, 1)).lines);
    assert.deepEqual([without.verdict, without.fault], ['tampered', 'checkpoint-forged'], `${at + 1} taken out`);
    // Without its checkpoints too: only a head that was held elsewhere tells.
    const bare = chained(changed.filter(({ kind }) => kind !== 'checkpoint')).lines;
    assert.equal((await judge(bare, held)).verdict, 'tampered');
  }
});

test('checkpoints by another key, of another log or for other records are forged', async () => {
  const entries = genuine.entries.slice(0, every - 1);
  const head = chained(entries).heads.at(-1) ?? chainStart;
  const otherLog: Checkpoint = { ...checkpointAt(head), head: formatHead(signHead('cd'.repeat(16), head, privateKey)) };
  const forged = [
    checkpointAt(head, foreign.privateKey, foreignKey),
    checkpointAt(head, foreign.privateKey),
    checkpointAt(genuine.heads[2] ?? chainStart),
    otherLog,
    { ...checkpointAt(head), key: 'AAAA' },
    { ...checkpointAt(head), head: 'x' },
  ];
  for (const checkpoint of forged) {
    const report = await judge(chained([...entries, checkpoint, entryOf(8)]).lines, held);
    assert.equal(report.fault, 'checkpoint-forged');
    assert.equal(report.records, every - 1);
  }
  // A whole log by a key of one's own is found by the key that was held.
  const own = chained([...entries, checkpointAt(head, foreign.privateKey, foreignKey)]).lines;
  assert.equal((await judge(own)).verdict, 'genuine');
  assert.equal((await judge(own, held)).verdict, 'tampered');
  const heldForged = { head: signHead(logName, genuine.heads[3] ?? chainStart, foreign.privateKey), key };
  assert.equal((await judge(genuine.lines, heldForged)).fault, 'checkpoint-forged');
});

test('a log that was cut anywhere is found with a head held elsewhere, one that was rewritten too', async () => {
  for (let length = 0; length < records; length++) {
    const cut = genuine.lines.slice(0, length);
    assert.equal((await judge(cut, held)).fault, 'shorter-than-held', `cut after ${length}`);
    // This is why a head is held elsewhere.
    assert.equal((await judge(cut)).verdict, 'genuine');
  }
  const early = { head: signHead(logName, genuine.heads[2] ?? chainStart, privateKey), key };
  assert.equal((await judge(genuine.lines, early)).verdict, 'genuine');
  const rewritten = chained(genuine.entries.slice(0, 5).with(1, entryOf(99))).lines;
  assert.equal((await judge(rewritten, early)).fault, 'other-than-held');
});

test('an end that a crash tore off is told apart from a change', async () => {
  const whole = genuine.lines.join('');
  const last = genuine.lines.at(-1) ?? '';
  const kept = whole.length - last.length;
  for (let length = kept + 1; length < whole.length; length++) {
    const report = await judge(whole.slice(0, length));
    assert.deepEqual([report.verdict, report.records, report.torn], ['torn', records - 1, length - kept]);
    // The same cut in a record that somebody holds the head of is no crash's.
    assert.equal((await judge(whole.slice(0, length), held)).fault, 'shorter-than-held');
  }
  const sector = Math.floor(kept / 512) * 512;
  const unwritten = Buffer.concat([Buffer.from(whole), Buffer.alloc(sector + 2_048 - whole.length)]);
  assert.equal((await judge(unwritten)).verdict, 'torn');
  assert.equal((await judge(Buffer.from(whole).fill(0, kept + 3, kept + 9))).verdict, 'tampered');
});
