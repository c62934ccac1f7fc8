// A process that rotates a KEK of a store and dies by SIGKILL at one of its commits. Arguments: directory, root in hex, `begin` or
// `resume`, the number of the commit, `before` or `after` it. Exit code 0: it came to the end.

import { openStore } from '../src/open-store.ts';
import { readOuter } from '../src/store/outer.ts';
import { openDatabase } from '../src/store/sqlite-database.ts';

const [directory = '', root = '', task, at, when] = process.argv.slice(2);
const database = await openDatabase(directory);
const outer = await readOuter(database);
if (!outer) throw new Error('no store');
const limits = { leaseMs: 60_000, leasesPerClient: 10, acknowledgeMs: 1_000, ticketLifeMs: 60_000 };
let commits = 0;
const dying: typeof database = {
  ...database,
  async commit(changes) {
    const isIt = ++commits === Number(at);
    if (isIt && when === 'before') process.kill(process.pid, 'SIGKILL');
    await database.commit(changes);
    if (isIt) process.kill(process.pid, 'SIGKILL');
  },
};
const parts = { limits, hsm: undefined, now: () => new Date() };
const store = await openStore(dying, outer, Buffer.from(root, 'hex'), parts, 0);

commits = 0;
if (task === 'begin') await store.kekRotation.begin('decryption', { role: 'operator', name: 'test' });
while (await store.kekRotation.step());
