// Dual control on the running service: who may request, approve and execute, with what, and how often.

import assert from 'node:assert/strict';
import { generateKeyPairSync, randomUUID, sign, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { KeyFault, type KeyPolicy, signApproval } from '@sealpost/service';
import { firstPolicy } from '../src/policy/first-policy.ts';
import { type Member, type StaffedKeyService, staffedKeyService } from './members.ts';
import { codeFor } from './people.ts';
import type { RunningKeyService } from './running-key-service.ts';

let staffed: StaffedKeyService;
let service: RunningKeyService;

const staff = [
  ['key-admin', 'alice'],
  ['custodian', 'bob'],
  ['key-admin', 'carol'],
  ['operator', 'olaf'],
  ['auditor', 'audrey'],
  ['custodian', 'dora'],
  ['custodian', 'frank'],
  ['custodian', 'gina'],
  ['custodian', 'hugo'],
  ['custodian', 'sven'],
] as const;

before(async () => {
  staffed = await staffedKeyService(staff);
  service = staffed.service;
  // Approving takes a code of its own and no other.
  for (const name of ['alice', 'carol', 'audrey']) await as(name).present();
});
after(() => staffed?.[Symbol.asyncDispose]());

const isFault = (code: string) => (error: unknown) => error instanceof KeyFault && error.code === code;
const as = (name: string): Member => staffed.as(name);

const policyWith = (more: Partial<KeyPolicy>): KeyPolicy => ({ ...firstPolicy(false), ...more });

function requestChange(name: string, policy: unknown = policyWith({ retentionDays: 42 })) {
  return as(name).call('act-request', { act: 'policy-change', params: { policy: policy as never }, reason: 'test' });
}

async function approve(name: string, id: string) {
  return await as(name).approve(await as('alice').call('act-show', { id }));
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
  // He could not change anything now, having shown no code but those of his approvals.
  await assert.rejects(requestChange('bob'), isFault('second-factor-needed'));
  await approve('gina', id);
  await assert.rejects(approve('gina', id), isFault('approved-already'));
});

test('an approval is a signature over this very request by this very person, with a code', async () => {
  const [first, second] = [await requestChange('alice'), await requestChange('alice')];
  const { person, call } = as('sven');
  const signature = signApproval(first.canonical, person.privateKey);
  const wrong: readonly [string, { id: string; hash: string; signature: Buffer; code?: string }][] = [
    ['approval-invalid', { id: second.id, hash: second.hash, signature, code: '000000' }],
    ['approval-invalid', { id: first.id, hash: second.hash, signature, code: '000000' }],
    ['approval-invalid', { id: first.id, hash: first.hash, signature: Buffer.alloc(0), code: '000000' }],
    ['approval-invalid', { id: first.id, hash: first.hash, signature: signature.subarray(1), code: '000000' }],
    [
      'approval-invalid',
      { id: first.id, hash: first.hash, signature: signApproval(first.canonical, as('alice').person.privateKey) },
    ],
    [
      'approval-invalid',
      { id: first.id, hash: first.hash, signature: sign('sha256', Buffer.from(first.canonical), person.privateKey) },
    ],
    ['second-factor-needed', { id: first.id, hash: first.hash, signature }],
    ['request-malformed', { id: first.id, hash: first.hash, signature, code: '123 456' }],
    ['request-malformed', { id: first.id, hash: first.hash.toUpperCase(), signature }],
    ['request-malformed', { id: `${first.id}\n`, hash: first.hash, signature }],
    ['not-found', { id: randomUUID(), hash: first.hash, signature }],
  ];
  for (const [code, asked] of wrong) await assert.rejects(call('act-approve', asked), isFault(code), code);
  assert.equal((await call('act-show', { id: first.id })).approvals.length, 0);
  await approve('sven', first.id);
  for (const { id } of [first, second]) assert.equal((await as('alice').call('act-refuse', { id })).state, 'refused');
  await assert.rejects(as('alice').call('act-execute', { id: first.id }), isFault('request-over'));
  await assert.rejects(approve('bob', second.id), isFault('request-over'));
});

test('what no act takes is refused before it is a request', async () => {
  const { call } = as('alice');
  const ask = (act: string, params: Record<string, unknown>) =>
    call('act-request', { act, params: params as never, reason: 'test' });
  const policy = policyWith({});
  const malformed = [{}, { policy: {} }, { policy, more: 1 }, { policy: { ...policy, version: 2 } }, { policy: null }];
  for (const params of malformed) await assert.rejects(ask('policy-change', params), isFault('request-malformed'));
  for (const act of ['no-such-act', 'constructor', 'to-string']) {
    await assert.rejects(
      ask(act, { policy }),
      (error) => isFault('not-found')(error) || isFault('request-malformed')(error),
    );
  }
  const unusable: readonly Partial<KeyPolicy>[] = [
    { secondFactor: { required: false, minutes: 15 } },
    { approvals: { default: { needed: 0, by: [] }, acts: {} } },
    { approvals: { ...policy.approvals, acts: { 'policy-change': { needed: 0, by: [] } } } },
    { approvals: { ...policy.approvals, acts: { 'no-such-act': { needed: 1, by: ['custodian'] } } } },
    { approvals: { default: { needed: 9, by: ['key-admin', 'custodian'] }, acts: {} } },
  ];
  for (const more of unusable)
    await assert.rejects(requestChange('alice', policyWith(more)), isFault('policy-unusable'));
  const services = { ...policy, approvals: { default: { needed: 1, by: ['crypto-worker'] }, acts: {} } };
  await assert.rejects(requestChange('alice', services), isFault('request-malformed'));
  const auditors = { ...policy, approvals: { default: { needed: 1, by: ['auditor'] }, acts: {} } };
  await assert.rejects(requestChange('alice', auditors), isFault('request-malformed'));
});

test('who is shut out is shut out at once, on a connection that is open too, and approvals of theirs count no more', async () => {
  const change = await requestChange('alice');
  await approve('dora', change.id);
  const { id } = await as('alice').call('act-request', {
    act: 'person-remove',
    params: { name: 'dora' },
    reason: 'left',
  });
  await approve('hugo', id);
  await as('alice').call('act-execute', { id });
  await assert.rejects(as('alice').call('act-execute', { id }), isFault('request-over'));
  await assert.rejects(as('dora').call('status', {}), isFault('person-unknown'));
  await assert.rejects(as('dora').call('act-list', {}), isFault('person-unknown'));
  await assert.rejects(as('alice').call('act-execute', { id: change.id }), isFault('approvals-missing'));
});

test('a person who lost the second factor gets another when somebody else agrees, and a certificate of theirs alone', async () => {
  const ed25519 = generateKeyPairSync('ed25519').publicKey.export({ format: 'der', type: 'spki' }).toString('base64');
  const used = as('bob').person.certificateFile;
  const taken = new X509Certificate(readFileSync(used)).publicKey.export({ format: 'der', type: 'spki' });
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'der', type: 'spki' });
  const add = (params: { role: string; name: string; publicKey: string }) =>
    as('carol').call('act-request', { act: 'person-add', params, reason: 'test' });
  await assert.rejects(add({ role: 'auditor', name: 'bob', publicKey: ed25519 }), isFault('person-exists'));
  await assert.rejects(
    add({ role: 'auditor', name: 'eve', publicKey: taken.toString('base64') }),
    isFault('person-exists'),
  );
  await assert.rejects(
    add({ role: 'auditor', name: 'eve', publicKey: small.toString('base64') }),
    isFault('public-key-unusable'),
  );
  await assert.rejects(add({ role: 'auditor', name: 'eve', publicKey: 'AAAA' }), isFault('public-key-unusable'));
  for (const name of ['Eve', 'eve ', '', '../eve', 'a/b', 'ève']) {
    await assert.rejects(add({ role: 'auditor', name, publicKey: ed25519 }), isFault('request-malformed'), name);
  }
  await assert.rejects(add({ role: 'crypto-worker', name: 'eve', publicKey: ed25519 }), isFault('request-malformed'));

  const reset = await as('carol').call('act-request', {
    act: 'factor-reset',
    params: { name: 'audrey' },
    reason: 'lost',
  });
  await approve('frank', reset.id);
  await as('carol').call('act-execute', { id: reset.id });
  await assert.rejects(
    as('audrey').call('audit-address', { address: 'a@alpha.test' }),
    isFault('second-factor-missing'),
  );
  const { uri } = await as('audrey').call('people-enrol', {});
  await as('audrey').call('people-confirm', { code: codeFor(uri) });
});

test('at 100 tries at the same time one code lets one in', async () => {
  const { call, withCode } = as('olaf');
  const tries = await withCode((code) =>
    Promise.allSettled(Array.from({ length: 100 }, () => call('people-present', { code }))),
  );
  assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1);
  await assert.rejects(requestChange('olaf'), isFault('forbidden'));
});
