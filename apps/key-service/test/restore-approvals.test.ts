// A production store is restored when people of its own register wanted it: a request, approvals by others over the same bytes, judged on
// the register and policy in the backup; or by the quorum of shares alone, which the new log says.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  approveRestore,
  canonicalJson,
  loadConfig,
  makeRestoreRequest,
  type RestoreRequest,
  readIdentity,
  readRestoreApproval,
  readRestoreRequest,
  signApproval,
  verifyLog,
} from '@sealpost/service';
import { type TemporaryDirectory, temporaryDirectory } from '@sealpost/testkit';
import { runBackup } from '../src/backup/command.ts';
import { assertApproved, type RestoreFacts, type RestoreOrder } from '../src/backup/restore-approvals.ts';
import { openKeeper } from '../src/keeper.ts';
import { firstPolicy } from '../src/policy/first-policy.ts';
import { addPerson, type TestPerson, withStore } from './people.ts';
import { passphrase, runInit, writeConfig } from './running-key-service.ts';

const cli = join(import.meta.dirname, '../../cli/src/main.ts');
const staff = [
  ['key-admin', 'alice'],
  ['custodian', 'bob'],
  ['key-admin', 'carol'],
  ['operator', 'olaf'],
  ['auditor', 'audrey'],
  ['custodian', 'dora'],
] as const;
const people = new Map<string, TestPerson>();

let place: TemporaryDirectory;
let file: string;
let facts: RestoreFacts;
const at = (name: string): string => join(place.path, name);

before(async () => {
  place = await temporaryDirectory();
  await runBackup(['quorum', '--needed', '2', '--of', '3', '--out', at('q')]);
  const backup = { directory: at('backups'), recipient: at('q.recipient.json') };
  const configFile = writeConfig(place.path, 1, 2, { slot: 'passphrase', keyServer: { backup } });
  assert.equal(runInit(configFile, passphrase).status, 0);
  writeFileSync(at('passphrase'), `${passphrase}\n`);
  const config = loadConfig(configFile);
  await withStore(config, Buffer.from(passphrase), async (store) => {
    for (const [role, name] of staff) people.set(name, await addPerson(store, place.path, role, name));
    await store.people.remove('dora');
    await store.policies.replace(firstPolicy(false));
  });
  const keeper = await openKeeper({ config, clock: { now: () => new Date() }, log: { event: () => undefined } });
  await keeper.unseal('passphrase', Buffer.from(passphrase));
  ({ file } = await keeper.backUp());
  await keeper.seal();
  await keeper.unseal('passphrase', Buffer.from(passphrase));
  const checkpoint = { head: keeper.signedHead() ?? '', key: keeper.auditKey() };
  await keeper.close();
  writeFileSync(at('head.json'), JSON.stringify(checkpoint));
  const { missing } = (await runBackup(['verify', file, ...keys(), '--checkpoint', at('head.json')])) as {
    missing: number;
  };
  assert.ok(missing > 0);
  facts = { sealed: readFileSync(file), checkpoint, acceptLoss: missing };
});
after(() => place.remove());

const keys = () => [
  ...['--recipient', at('q.recipient.json')],
  ...['--share', at('q.share-1.json'), '--share', at('q.share-3.json')],
];

function identityOf(name: string) {
  const person = people.get(name);
  assert.ok(person);
  return readIdentity(person);
}

function request(name: string, more: Partial<RestoreFacts> & { now?: Date } = {}): RestoreRequest {
  const { sealed, checkpoint, acceptLoss } = { ...facts, ...more };
  const wish = { checkpoint, acceptLoss, reason: 'the disk died' };
  return readRestoreRequest(Buffer.from(makeRestoreRequest(sealed, wish, identityOf(name), more.now ?? new Date())));
}

const approve = (asked: RestoreRequest, name: string) =>
  readRestoreApproval(Buffer.from(approveRestore(asked, identityOf(name))));

/** What the register of the backup's store says to each. */
async function judge(orders: readonly (RestoreOrder | undefined)[]): Promise<string[]> {
  const said: string[] = [];
  await withStore(loadConfig(at('installation.yaml')), Buffer.from(passphrase), async (store) => {
    for (const order of orders) {
      const verdict = assertApproved(order, facts, store, new Date());
      said.push(
        await verdict.then(
          () => 'approved',
          (error: Error) => error.message,
        ),
      );
    }
  });
  return said;
}

test('only others of the register, with a role that the policy names, over these bytes, make it approved', async () => {
  const asked = request('alice');
  const bob = approve(asked, 'bob');
  const other = request('alice');
  const key = people.get('bob')?.privateKey;
  assert.ok(key);
  const online = signApproval(asked.canonical, key).toString('base64');
  const cases: readonly [string, RestoreOrder | undefined, RegExp][] = [
    ['no request', undefined, /asks for 1 approvals by key-admin or custodian/],
    ['no approval', { request: asked, approvals: [] }, /asks for 1 approvals; there are 0/],
    ['own approval', { request: asked, approvals: [approve(asked, 'alice')] }, /nobody approves alone/],
    ['of another request', { request: asked, approvals: [approve(other, 'bob')] }, /bob approved another request/],
    ['of a removed person', { request: asked, approvals: [approve(asked, 'dora')] }, /does not know custodian\/dora/],
    ['of an operator', { request: asked, approvals: [approve(asked, 'olaf')] }, /does not let operator\/olaf/],
    ['of an auditor', { request: asked, approvals: [approve(asked, 'audrey')] }, /does not let auditor\/audrey/],
    [
      'moved to this request',
      { request: asked, approvals: [{ ...approve(other, 'bob'), hash: asked.hash }] },
      /not over this request/,
    ],
    [
      'of an act of the running service',
      { request: asked, approvals: [{ ...bob, signature: online }] },
      /not over this request/,
    ],
    [
      "in another's name",
      { request: asked, approvals: [{ ...bob, signatory: approve(asked, 'carol').signatory }] },
      /key-admin\/carol is not over/,
    ],
    [
      'in another role',
      { request: asked, approvals: [{ ...bob, signatory: { ...bob.signatory, role: 'key-admin' } }] },
      /does not know key-admin\/bob/,
    ],
    ['one good and one bad', { request: asked, approvals: [bob, approve(asked, 'dora')] }, /does not know/],
    ['asked by an operator', { request: request('olaf'), approvals: [] }, /a key-admin or a custodian/],
    ['asked by a removed person', { request: request('dora'), approvals: [] }, /does not know custodian\/dora/],
    [
      'signed by another than it names',
      { request: { ...asked, signature: Buffer.from(bob.signature, 'base64') }, approvals: [bob] },
      /key-admin\/alice is not over/,
    ],
    ['another backup', { request: request('alice', { sealed: Buffer.alloc(9) }), approvals: [] }, /another backup/],
    [
      'another head',
      { request: request('alice', { checkpoint: { ...facts.checkpoint, head: 'x' } }), approvals: [] },
      /another head/,
    ],
    ['another loss', { request: request('alice', { acceptLoss: 'all' }), approvals: [] }, /another loss/],
    [
      'too old',
      { request: request('alice', { now: new Date(Date.now() - 8 * 86_400_000) }), approvals: [] },
      /expired/,
    ],
  ];
  const good = { request: asked, approvals: [bob, approve(asked, 'carol')] };
  const said = await judge([good, ...cases.map(([, order]) => order)]);
  assert.equal(said.shift(), 'approved');
  for (const [index, [name, , complaint]] of cases.entries()) assert.match(said[index] ?? '', complaint, name);
});

test('files that are none, were cut, changed or written otherwise are refused', () => {
  const text = makeRestoreRequest(facts.sealed, { ...facts, reason: 'r' }, identityOf('alice'), new Date());
  const read = readRestoreRequest(Buffer.from(text));
  const approval = JSON.stringify(approve(read, 'bob'));
  const changed = (canonical: string) => JSON.stringify({ ...JSON.parse(text), canonical });
  const spaced = JSON.stringify(JSON.parse(read.canonical), undefined, 1);
  const more = canonicalJson({ ...read.asked, more: 1 });
  for (const wrong of ['', '{}', 'null', text.slice(0, -20), changed(spaced), changed(more), changed('{}'), approval])
    assert.throws(() => readRestoreRequest(Buffer.from(wrong)), /not a request/);
  for (const wrong of ['', '[]', approval.slice(1), text, approval.replace('custodian', 'worker'), 'x'.repeat(100_000)])
    assert.throws(() => readRestoreApproval(Buffer.from(wrong)), /not an approval/);
  const stranger = { certificateFile: at('credentials/ingress.crt'), keyFile: at('credentials/ingress.key') };
  const ingress = readIdentity({ ...stranger, passphraseFile: at('credentials/passphrase') });
  assert.throws(() => approveRestore(read, ingress), /not a person's certificate/);
});

/** A machine that has nothing. */
function emptyMachine(name: string): string {
  const directory = at(name);
  mkdirSync(directory);
  const configFile = join(directory, 'installation.yaml');
  const text = readFileSync(at('installation.yaml'), 'utf8');
  writeFileSync(
    configFile,
    text
      .replaceAll(join(place.path, 'keys'), join(directory, 'keys'))
      .replaceAll(join(place.path, 'audit'), join(directory, 'audit')),
  );
  cpSync(at('credentials'), join(directory, 'credentials'), { recursive: true });
  return configFile;
}

async function restore(configFile: string, ...more: readonly string[]): Promise<string> {
  const loss = ['--accept-loss', String(facts.acceptLoss), '--passphrase-file', at('passphrase')];
  const args = ['restore', file, '--config', configFile, ...keys(), '--checkpoint', at('head.json'), ...loss, ...more];
  return await runBackup(args).then(
    () => 'restored',
    (error: Error) => error.message,
  );
}

const log = (name: string): string => readFileSync(join(at(name), 'audit', 'audit.log'), 'utf8');

test('the command line asks, approves and restores; without approvals nothing is put anywhere', async () => {
  const sealpost = (...args: readonly string[]) => {
    const run = spawnSync(process.execPath, [cli, 'backup', ...args], { encoding: 'utf8' });
    assert.equal(run.status, 0, run.stderr);
    return run.stdout;
  };
  const as = (name: string) => ['--as', at(name)];
  const wish = [
    '--checkpoint',
    at('head.json'),
    '--accept-loss',
    String(facts.acceptLoss),
    '--reason',
    'the disk died',
  ];
  const shown = sealpost('request', file, ...wish, '--out', at('restore.request'), ...as('alice'));
  const hash = /SHA-256 +([0-9a-f]{64})\n$/.exec(shown)?.[1] ?? '';
  assert.match(
    sealpost('approve', at('restore.request'), '--hash', hash, '--out', at('bob.approval'), ...as('bob')),
    /the disk died/,
  );
  const configFile = emptyMachine('approved');
  const asked = ['--request', at('restore.request')];
  assert.match(await restore(configFile), /asks for 1 approvals/);
  assert.match(await restore(configFile, ...asked), /there are 0/);
  assert.equal(existsSync(join(at('approved'), 'keys')), false);
  assert.equal(await restore(configFile, ...asked, '--approval', at('bob.approval')), 'restored');
  const entries = log('approved').split('\n');
  assert.match(entries[0] ?? '', /"operation":"audit-log-replaced"/);
  assert.ok(
    entries.some(
      (line) => /"operation":"restore-approve".*"person":"custodian\/bob"/.test(line) && line.includes(hash),
    ),
  );
  assert.ok(
    entries.some(
      (line) => /"operation":"store-restored".*"person":"key-admin\/alice"/.test(line) && line.includes(hash),
    ),
  );
  assert.equal((await verifyLog(join(at('approved'), 'audit', 'audit.log'))).verdict, 'genuine');
});

test('where too few people are left the quorum of shares does it alone, and the log says so', async () => {
  const configFile = emptyMachine('alone');
  assert.equal(await restore(configFile, '--quorum-alone'), 'restored');
  assert.match(
    log('alone'),
    new RegExp(`"operation":"store-restored"[^\\n]*"count":${facts.acceptLoss},"result":"quorum-alone"`),
  );
});
