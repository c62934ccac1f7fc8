// A process that rotates a KEK of a store and dies by SIGKILL at one of its commits. Arguments: directory, root in hex, `begin` or
// `resume`, the number of the commit, `before` or `after` it. Exit code 0: it came to the end.

import { DatabaseSync } from 'node:sqlite';
import { openStore } from '../src/open-store.ts';
import { openDatabase } from '../src/store/database.ts';
import { readOuter } from '../src/store/outer.ts';

const [directory = '', root = '', task, at, when] = process.argv.slice(2);
const database = openDatabase(directory);
const outer = readOuter(database);
if (!outer) throw new Error('no store');
const limits = { leaseMs: 60_000, leasesPerClient: 10, acknowledgeMs: 1_000, ticketLifeMs: 60_000 };
const store = await openStore(database, outer, Buffer.from(root, 'hex'), {
  limits,
  hsm: undefined,
  now: () => new Date(),
});

let commits = 0;
const { exec } = DatabaseSync.prototype;
database.exec = (sql: string) => {
  if (sql === 'COMMIT') commits++;
  const isIt = sql === 'COMMIT' && commits === Number(at);
  if (isIt && when === 'before') process.kill(process.pid, 'SIGKILL');
  exec.call(database, sql);
  if (isIt) process.kill(process.pid, 'SIGKILL');
};

if (task === 'begin') store.kekRotation.begin('decryption', { role: 'operator', name: 'test' });
while (store.kekRotation.step());
