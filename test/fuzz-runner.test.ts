// The fuzz runner itself: its verdict on memory, and that a short run of it works and says so.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { judgeMemory, type MemorySample } from './fuzz/memory.ts';

const MIB = 1024 * 1024;

/** Samples of half an hour; `heap` in MiB by minute. */
function run(
  heap: (minute: number) => number,
  more: (minute: number) => Partial<MemorySample> = () => ({}),
): MemorySample[] {
  return Array.from({ length: 31 }, (_, minute) => ({
    seconds: minute * 60,
    executions: minute * 10_000,
    heapUsed: heap(minute) * MIB,
    external: 10 * MIB,
    rss: 200 * MIB,
    corpusBytes: MIB,
    ...more(minute),
  }));
}

test('memory that grows at first and then stays is flat, and so is one that swings', () => {
  assert.equal(judgeMemory(run((minute) => 15 + Math.min(minute, 9))).flat, 'yes');
  assert.equal(judgeMemory(run((minute) => 20 + (minute % 2) * 3)).flat, 'yes');
});

test('a leak of the heap, outside of it, or of native memory is not flat', () => {
  const leak = judgeMemory(run((minute) => 15 + minute / 4));
  assert.deepEqual([leak.flat, leak.growth], ['no', 5 * MIB]);
  const outside = (minute: number): Partial<MemorySample> => ({ external: minute * MIB });
  const native = (minute: number): Partial<MemorySample> => ({ rss: (200 + 2 * minute) * MIB });
  for (const more of [outside, native]) assert.equal(judgeMemory(run(() => 15, more)).flat, 'no');
});

test('inputs that the runner keeps are no growth, and a short run has no verdict', () => {
  const kept = (minute: number): Partial<MemorySample> => ({
    external: (10 + minute) * MIB,
    corpusBytes: minute * MIB,
  });
  assert.equal(judgeMemory(run(() => 15, kept)).flat, 'yes');
  assert.equal(judgeMemory(run((minute) => minute).slice(0, 9)).flat, 'not judged');
  assert.equal(judgeMemory([]).flat, 'not judged');
});

const room = { mime: 'mime', ber: 'cms', cms: 'cms', path: 'pki' };
for (const [target, about] of Object.entries(room)) {
  test(`${target}: every seed holds what is demanded of it, and the run says what it did`, () => {
    const main = join(import.meta.dirname, 'fuzz/main.ts');
    const { stdout, stderr } = spawnSync(process.execPath, [main, target, '--seconds', '0', '--seed', '1', '--json']);
    const report = JSON.parse(stdout.toString());
    assert.deepEqual(report.findings, [], stderr.toString());
    assert.equal(report.executions, report.corpus);
    assert.ok(report.coverage[about].octetsRun > 0);
    assert.equal(report.memory.samples.length, 1);
  });
}
