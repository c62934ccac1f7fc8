// The engine against the work of others: their messages, certificates and vectors, and their programs live in both directions. Prints a
// table of set × passed / total; only what docs/interop.md lists with a reason may end otherwise.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { bouncyCastleCases } from './bouncy-castle.ts';
import type { Absent, Case } from './case.ts';
import { commandCases } from './command.ts';
import { listedExceptions } from './exceptions.ts';
import { gpgsmCases } from './gpgsm.ts';
import { isThere } from './material.ts';
import { messageCases, objectCases } from './messages.ts';
import { mimeCases, smugglingCases } from './mime.ts';
import { opensslCases } from './openssl.ts';
import { crossedRootCases, pkitsCases } from './paths.ts';
import { pkcs12Cases } from './pkcs12.ts';
import { primitiveCases } from './primitives.ts';

const material: readonly (Case[] | Absent)[] = isThere
  ? [
      objectCases(),
      messageCases(),
      crossedRootCases(),
      pkitsCases(),
      pkcs12Cases(),
      mimeCases(),
      smugglingCases(),
      primitiveCases(),
      commandCases(),
    ]
  : [{ set: 'corpus', reason: 'no corpus beside this checkout' }];
const all = [...material, opensslCases(), gpgsmCases(), await bouncyCastleCases()];
const absent = all.flatMap((cases) => ('reason' in cases ? [cases] : []));
const present = all.flatMap((cases) => ('reason' in cases ? [] : cases));
const exceptions = listedExceptions();
const table: (readonly [set: string, passed: string, note: string])[] = [];

for (const [set, cases] of Map.groupBy(present, (one) => one.set)) {
  test(`${set}: ${cases.length} cases`, () => runSet(set, cases));
}
for (const { set, reason } of absent) test(set, { skip: reason }, () => undefined);

async function runSet(set: string, cases: readonly Case[]): Promise<void> {
  const failed = new Map<string, string>();
  for (const one of cases) {
    try {
      await one.run();
    } catch (error) {
      failed.set(one.name, error instanceof Error ? error.message : String(error));
    }
  }
  const listed = exceptions.get(set) ?? new Set();
  table.push([
    set,
    `${cases.length - failed.size} / ${cases.length}`,
    failed.size > 0 ? `${failed.size} in docs/interop.md` : '',
  ]);
  const unexplained = [...failed].filter(([name]) => !listed.has(name));
  assert.deepEqual(unexplained, [], 'these end otherwise than they should');
  assert.deepEqual(
    [...listed].filter((name) => !failed.has(name)),
    [],
    'these are no exceptions any more',
  );
}

after(() => {
  const rows = [['set', 'passed / total', ''], ...table, ...absent.map(({ set, reason }) => [set, 'skipped', reason])];
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly (string | undefined)[]) =>
    row
      .map((cell = '', column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  process.stdout.write(`\n${rows.map(line).join('\n')}\n\n`);
});
