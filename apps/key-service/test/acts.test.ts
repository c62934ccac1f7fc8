// Dual control on the running service: who may request, approve and execute, with what, and how often.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type KeyConnection, KeyFault, type KeyPolicy, openKeyConnection, signApproval } from '@sealpost/service';
import { firstPolicy } from '../src/policy/first-policy.ts';
import { readSlotFile } from '../src/vault/slot-file.ts';
import { addPerson, codeFor, type TestPerson, withStore } from './people.ts';
import { type RunningKeyService, runKeyService } from './running-key-service.ts';

interface Member {
  readonly person: TestPerson;
  readonly call: KeyConnection['call'];
  /** The next code that was not used yet; the window reaches one step ahead and one back. */
  code(): string;
}

let service: RunningKeyService;
const members = new Map<string, Member>();
const connections: KeyConnection[] = [];

const staff = [
  ['key-admin', 'alice'],
  ['custodian', 'bob'],
  ['key-admin', 'carol'],
  ['operator', 'olaf'],
  ['auditor', 'audrey'],
] as const;

before(async () => {
  const people: TestPerson[] = [];
  service = await runKeyService({
    prepare: (directory, config) =>
      withStore(config, readSlotFile(join(directory, 'root')).bytes, (store) => {
        for (const [role, name] of staff) people.push(addPerson(store, directory, role, name));
        store.policies.replace(firstPolicy(false));
      }),
  });
  for (const person of people) {
    const connection = openKeyConnection(service.config.keyService, person);
    connections.push(connection);
    const { uri } = await connection.call('people-enrol', {});
    let step = -1;
    const code = () => codeFor(uri, step++);
    await connection.call('people-confirm', { code: code() });
    await connection.call('people-present', { code: code() });
    members.set(person.name, { person, call: connection.call, code });
  }
});

after(async () => {
  for (const connection of connections) connection.close();
  await service[Symbol.asyncDispose]();
});

const isFault = (code: string) => (error: unknown) => error instanceof KeyFault && error.code === code;

function as(name: string): Member {
  const member = members.get(name);
  assert.ok(member);
  return member;
}

const policyWith = (more: Partial<KeyPolicy>): KeyPolicy => ({ ...firstPolicy(false), ...more });

function requestChange(name: string, policy: unknown = policyWith({ retentionDays: 42 })) {
  return as(name).call('act-request', { act: 'policy-change', params: { policy: policy as never }, reason: 'test' });
}

async function approve(name: string, id: string, change: { hash?: string; signature?: Buffer; code?: string } = {}) {
  const { person, call, code } = as(name);
  const { canonical, hash } = await call('act-show', { id });
  const signature = signApproval(canonical, person.privateKey);
  return await call('act-approve', { id, hash, signature, code: change.code ?? code(), ...change });
}

test('a policy changes when another person approved it, once, and the log says which', async () => {
  const { id, hash, needed, by, state, summary } = await requestChange('alice');
  assert.deepEqual([needed, by, state], [1, ['key-admin', 'custodian'], 'pending']);
  assert.match(summary, /^put the policy [0-9a-f]{64} in force$/);
  await assert.rejects(as('alice').call('act-execute', { id }), isFault('approvals-missing'));

  const approved = await approve('bob', id);
  assert.deepEqual(
    approved.approvals.map(({ role, name }) => [role, name]),
    [['custodian', 'bob']],
  );
  const tries = await Promise.allSettled(Array.from({ length: 20 }, () => as('alice').call('act-execute', { id })));
  assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1);
  const shown = await as('audrey').call('policy-show', {});
  assert.equal(shown.policy.retentionDays, 42);
  assert.equal((await as('audrey').call('act-show', { id })).outcome, 'ok');

  const log = readFileSync(service.config.keyServer.audit.file, 'utf8').split('\n');
  const about = log.filter((line) => line.includes(id));
  for (const operation of ['act-request', 'act-approve', 'act-execute']) {
    assert.ok(
      about.some((line) => line.includes(`"operation":"${operation}"`) && line.includes(hash)),
      operation,
    );
  }
  assert.ok(about.some((line) => line.includes(`"digest":"${shown.hash}"`)));
});

test('nobody approves alone, twice, for somebody else, or without the right', async () => {
  const { id } = await requestChange('alice');
  await assert.rejects(approve('alice', id), isFault('approval-own'));
  await assert.rejects(approve('olaf', id), isFault('forbidden'));
  await assert.rejects(approve('audrey', id), isFault('forbidden'));
  for (const role of ['ingress', 'crypto-worker', 'egress'] as const) {
    const asked = { id, hash: 'a'.repeat(64), signature: Buffer.alloc(64), code: '000000' };
    await assert.rejects(service.call(role).call('act-approve', asked), isFault('forbidden'));
    await assert.rejects(service.call(role).call('act-show', { id }), isFault('forbidden'));
  }
  await assert.rejects(as('carol').call('act-execute', { id }), isFault('forbidden'));
  await assert.rejects(requestChange('olaf'), isFault('forbidden'));
  await assert.rejects(requestChange('bob'), isFault('forbidden'));
  assert.equal((await as('alice').call('act-show', { id })).state, 'pending');
  await approve('carol', id);
  await assert.rejects(approve('carol', id), isFault('approved-already'));
});
