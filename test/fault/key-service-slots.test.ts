// SIGKILL of the key service at each single write of its store while a slot is added, replaced or removed, the last two under
// a new root: afterwards the store opens by all the slots of before or by all those of after, and the log tells what was begun. Skipped where strace is not installed.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileSlot, type KeyFault, newSlotForm, verifyLog } from '@sealpost/service';
import { withStore } from '../../apps/key-service/test/people.ts';
import { type Bench, hasStrace, kill, openBench, storeCalls, storeFiles } from './write-points.ts';

/** More points than an act has; the run ends by itself when the process outlives them. */
const mostPoints = 80;
const leastPoints = 5;
/** What the file holds, as the slot reads it. */
const next = randomBytes(32).toString('hex');

const second = randomBytes(32).toString('hex');

let bench: Bench;
let first: string;
before(async () => {
  bench = await openBench();
  first = readFileSync(join(bench.directory, 'root'), 'latin1').trimEnd();
  await withStore(bench.config, Buffer.from(first), async ({ slots }) =>
    slots.add(await fileSlot('second', Buffer.from(second))),
  );
  bench.keep();
});
after(() => bench[Symbol.asyncDispose]());

/** The slots of the store, which this secret opened; none where it opens nothing. */
async function opensBy(secret: string): Promise<readonly string[]> {
  try {
    return await withStore(bench.config, Buffer.from(secret), async ({ slots }) =>
      (await slots.list()).map(({ label }) => label),
    );
  } catch (error) {
    assert.equal((error as KeyFault).code, 'passphrase-wrong');
    return [];
  }
}

interface Act {
  readonly act: 'slot-add' | 'slot-rotate' | 'slot-remove';
  readonly label: string;
  readonly params: () => Promise<Record<string, unknown>>;
  /** Labels by secret that the store has after it; a secret that has none opens nothing. */
  readonly leaves: readonly (string | undefined)[];
}

/** What was answered before the process died at the n-th write after the request; `outlived` when it did not. */
async function killedAt(at: number, { act, params }: Act): Promise<{ answered: boolean; outlived: boolean }> {
  const child = bench.start();
  const reached = await bench.reached(child);
  assert.ok(reached?.sealed === false);
  const { operator } = reached;
  const { id } = await operator.call('act-request', { act, params: (await params()) as never, reason: 'test' });
  const unwatch = await bench.watch(child, { calls: storeCalls, files: storeFiles, at });
  const answered = await operator.call('act-execute', { id }).then(
    () => true,
    () => false,
  );
  const outlived = answered && child.exitCode === null && child.signalCode === null;
  unwatch();
  operator.close();
  await kill(child);
  return { answered, outlived };
}

const slot = async (label: string) => ({
  slot: newSlotForm.encode(await fileSlot(label, Buffer.from(next))) as unknown,
});
/** Of the secrets first, second and next. */
const slotsBefore = ['file', 'second', undefined] as const;
const acts: readonly Act[] = [
  { act: 'slot-add', label: 'third', params: () => slot('third'), leaves: ['file', 'second', 'third'] },
  { act: 'slot-rotate', label: 'file', params: () => slot('file'), leaves: [undefined, 'second', 'file'] },
  {
    act: 'slot-remove',
    label: 'second',
    params: async () => ({ label: 'second', leavesOne: true }),
    leaves: ['file', undefined, undefined],
  },
];

for (const each of acts) {
  const { act, label, leaves } = each;
  test(`SIGKILL at each write of ${act} leaves a way in`, { skip: !hasStrace, timeout: 600_000 }, async (context) => {
    let at = 1;
    for (; at <= mostPoints; at++) {
      const name = `${act}, point ${at}`;
      bench.reset();
      const { answered, outlived } = await killedAt(at, each);
      const { file } = bench.config.keyServer.audit;
      assert.notEqual((await verifyLog(file)).verdict, 'tampered', name);
      const opened = [await opensBy(first), await opensBy(second), await opensBy(next)];
      const labels = (opened.find((each) => each.length > 0) ?? []).toSorted();
      const matches = (there: readonly (string | undefined)[]): boolean =>
        there.every((own, index) => (opened[index]?.length ?? 0) > 0 === (own !== undefined)) &&
        there
          .filter((own) => own !== undefined)
          .toSorted()
          .join() === labels.join();
      const isChanged = matches(leaves);
      assert.ok(isChanged || (!answered && matches(slotsBefore)), `${name}: ${JSON.stringify(opened)}`);
      assert.equal((await verifyLog(file)).verdict, 'genuine', name);
      const begun = bench.log().match(/"kind":"intent","operation":"act-execute"[^\n]*/g) ?? [];
      if (isChanged) assert.ok(begun[0]?.includes(`"slot":"${label}"`), `${name}: on record`);
      if (outlived) break;
    }
    context.diagnostic(`${at - 1} points`);
    assert.ok(at > leastPoints && at <= mostPoints, `${at - 1} points`);
  });
}
