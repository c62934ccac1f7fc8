// The ways into a production store change by two people together: a slot that is added, replaced or removed under dual control, and
// what opens the store after the restart that follows.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import {
  findActs,
  type KeyAnswer,
  KeyFault,
  type NewSlot,
  newSlotForm,
  passphraseBytes,
  passphraseSlot,
  shamirSlot,
  shareForService,
  signApproval,
} from '@sealpost/service';
import { type Member, type StaffedKeyService, staffedKeyService } from './members.ts';
import { passphrase, type RunningKeyService } from './running-key-service.ts';

const staff = [
  ['key-admin', 'alice'],
  ['key-admin', 'carol'],
  ['custodian', 'bob'],
  ['custodian', 'dora'],
] as const;
const nextPassphrase = 'another horse, another battery';
const isFault = (code: string) => (error: unknown) => error instanceof KeyFault && error.code === code;

let staffed: StaffedKeyService;
let service: RunningKeyService;
let shares: readonly Buffer[] = [];
const as = (name: string): Member => staffed.as(name);

before(async () => {
  staffed = await staffedKeyService(staff);
  service = staffed.service;
});
after(() => staffed?.[Symbol.asyncDispose]());

const request = (name: string, act: string, params: Record<string, unknown>) =>
  as(name).call('act-request', { act, params: params as never, reason: 'test' });
const encoded = (slot: NewSlot) => ({ slot: newSlotForm.encode(slot) });
const execute = (name: string, { id }: KeyAnswer<'act-request'>) => as(name).call('act-execute', { id });

async function status(): Promise<{ sealed: boolean; slots: string[] }> {
  const { sealed, slots } = await service.call('operator').call('status', {});
  return { sealed, slots: slots.map(({ label }) => label) };
}

async function restart(): Promise<void> {
  await service.end();
  await service.start();
  assert.equal((await status()).sealed, true);
}

async function handIn(share: Buffer | undefined) {
  const operator = service.call('operator');
  const { unsealKey } = await operator.call('status', {});
  return await operator.call('unseal-share', { share: shareForService(share ?? Buffer.alloc(0), unsealKey) });
}

test('no slot changes before somebody else approved this very change', async () => {
  const split = await shamirSlot('people', 2, 3);
  shares = split.shares;
  await as('alice').present();
  const wanted = await request('alice', 'slot-add', encoded(split.slot));
  const other = await request('alice', 'slot-rotate', encoded({ ...split.slot, label: 'passphrase' }));
  assert.match(wanted.summary, /^add the slot people: 2 of 3 custodians' shares \(key [0-9a-f]{16}\)$/);

  await assert.rejects(execute('alice', wanted), isFault('approvals-missing'));
  await assert.rejects(as('alice').approve(wanted), isFault('approval-own'));
  const { person, call } = as('bob');
  const elsewhere = signApproval(other.canonical, person.privateKey);
  for (const hash of [wanted.hash, other.hash]) {
    const asked = { id: wanted.id, hash, signature: elsewhere, code: '000000' };
    await assert.rejects(call('act-approve', asked), isFault('approval-invalid'));
  }
  await as('bob').approve(other);
  await assert.rejects(execute('alice', wanted), isFault('approvals-missing'));
  await as('alice').call('act-refuse', { id: other.id });
  await assert.rejects(execute('alice', other), isFault('request-over'));
  assert.deepEqual((await status()).slots, ['passphrase']);

  await as('bob').approve(wanted);
  await as('carol').present();
  await assert.rejects(execute('carol', wanted), isFault('forbidden'));
  await execute('alice', wanted);
  assert.deepEqual((await status()).slots, ['passphrase', 'people']);
  await assert.rejects(execute('alice', wanted), isFault('request-over'));
});

test('after a restart the slot that was added opens the store, and the one that was replaced no longer', async () => {
  const next = await passphraseSlot('passphrase', passphraseBytes(nextPassphrase));
  const replaced = await request('alice', 'slot-rotate', encoded(next));
  await as('dora').approve(replaced);
  await execute('alice', replaced);
  await restart();
  const operator = service.call('operator');
  await assert.rejects(operator.call('unseal', { passphrase }), isFault('passphrase-wrong'));
  await handIn(shares[0]);
  assert.equal((await handIn(shares[2])).sealed, false);
  await operator.call('seal', {});
  assert.equal((await operator.call('unseal', { passphrase: nextPassphrase })).sealed, false);
});

test('a slot that was removed opens nothing after a restart, and the last but one goes only when that is meant', async () => {
  await as('carol').present();
  const asked = (leavesOne: boolean) => request('carol', 'slot-remove', { label: 'people', leavesOne });
  await assert.rejects(asked(false), isFault('slot-leaves-one'));
  const removal = await asked(true);
  assert.match(removal.summary, /may leave one slot/);
  await assert.rejects(execute('carol', removal), isFault('approvals-missing'));
  await as('dora').approve(removal);
  await execute('carol', removal);
  const last = { label: 'passphrase', leavesOne: true };
  await assert.rejects(request('carol', 'slot-remove', last), isFault('slot-last'));
  await restart();
  assert.deepEqual((await status()).slots, ['passphrase']);
  await assert.rejects(handIn(shares[0]), isFault('share-wrong'));
  const operator = service.call('operator');
  assert.equal((await operator.call('unseal', { passphrase: nextPassphrase })).sealed, false);
});

test('the log tells who asked for each change, who approved it, and of which slot', async () => {
  const { acts } = await findActs(service.config.keyServer.audit.file, {});
  for (const [act, slot, requester, approver] of [
    ['slot-add', 'people', 'alice', 'bob'],
    ['slot-rotate', 'passphrase', 'alice', 'dora'],
    ['slot-remove', 'people', 'carol', 'dora'],
  ] as const) {
    const done = acts.find((each) => each.operation === 'act-execute' && each.act === act && each.result === 'ok');
    assert.ok(done, act);
    assert.deepEqual([done.slot, done.name, done.person], [slot, requester, `key-admin/${requester}`]);
    const approval = acts.find(
      (each) => each.operation === 'act-approve' && each.approval === done.approval && each.result === 'ok',
    );
    assert.equal(approval?.name, approver);
  }
  assert.equal(readFileSync(service.config.keyServer.audit.file, 'utf8').includes(nextPassphrase), false);
});
