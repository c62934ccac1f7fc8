// What a compromised ingress, a compromised worker and a rogue administrator get from the key service, with their genuine
// credentials and everything that they may ask for: the rows of docs/threat-model.md, told as attacks.

import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, encodeEnvelope, type KeyId, tenantId } from '@sealpost/core';
import {
  ephemeralBytes,
  findActs,
  findExposure,
  type KeyConnection,
  KeyFault,
  openKeyConnection,
  signApproval,
} from '@sealpost/service';
import { actNames } from '../src/acts/names.ts';
import { firstPolicy } from '../src/policy/first-policy.ts';
import { policyOf } from '../src/policy/policy.ts';
import { readSlotFile } from '../src/vault/slot-file.ts';
import { addPerson, codeFor, type TestPerson, withStore } from './people.ts';
import { type Mail, type RunningKeyService, runKeyService, ticketFor } from './running-key-service.ts';

const alpha = tenantId('alpha');
const alice = 'alpha/alice%40alpha.test/signing/1' as KeyId;
const carol = 'alpha/carol%40alpha.test/signing/1' as KeyId;
const bob = 'beta/bob%40beta.test/decryption/1' as KeyId;

let service: RunningKeyService;
let mallory: TestPerson | undefined;
let admin: KeyConnection;
let code: () => string;

before(async () => {
  service = await runKeyService({
    keyServer: { leases: { acknowledgeSeconds: 1 } },
    prepare: (directory, config) =>
      withStore(config, readSlotFile(join(directory, 'root')).bytes, async (store) => {
        mallory = await addPerson(store, directory, 'key-admin', 'mallory');
        await addPerson(store, directory, 'custodian', 'carla');
        await store.policies.replace(firstPolicy(false));
      }),
  });
  admin = openKeyConnection(service.config.keyService, mallory ?? assert.fail());
  const { uri } = await admin.call('people-enrol', {});
  let step = -1;
  code = () => codeFor(uri, step++);
  await admin.call('people-confirm', { code: code() });
  await admin.call('people-present', { code: code() });
  for (const address of ['alice@alpha.test', 'carol@alpha.test', 'bob@beta.test']) {
    await admin.call('identity-add', { address, algorithm: 'p-256' });
  }
});
after(async () => {
  admin.close();
  await service[Symbol.asyncDispose]();
});

async function outcome(asked: () => Promise<unknown>): Promise<string> {
  try {
    await asked();
    return 'ok';
  } catch (error) {
    return error instanceof KeyFault ? error.code : codeOf(error);
  }
}

test('a compromised ingress: its own tickets get it no key, and what it sealed it cannot read back', async () => {
  const ingress = service.as('ingress');
  const call = service.call('ingress');
  const { ticket, envelope } = ticketFor(await ingress.ticketSigner());
  const ephemeral = ephemeralBytes(generateKeyPairSync('x25519').publicKey);
  const common = { instance: 'i', keyId: alice, ticket, envelope: encodeEnvelope(envelope) };
  const item = { certificate: '0'.repeat(64), scheme: 'ecdsa', digest: 'sha256', signedAttributes: Buffer.alloc(8) };
  const tries = [
    () => call.call('lease', { ...common, ephemeral }),
    () =>
      call.call('leases', { instance: 'i', ephemeral, items: [{ keyId: alice, ticket, envelope: common.envelope }] }),
    () => call.call('sign', { ...common, items: [item] }),
    () =>
      call.call('open-recipient', {
        ...common,
        keyId: bob,
        items: [{ recipientInfo: Buffer.alloc(8), keyLength: 32 }],
      }),
    () => call.call('spool-private-key', { instance: 'i', keyId: 'alpha/stage.crypto/spool/1', ephemeral }),
    () => call.call('marker-keys', { instance: 'i', tenant: alpha, ephemeral }),
    () => call.call('release-ticket', { message: 'm', ticket }),
  ];
  for (const [at, asked] of tries.entries()) assert.equal(await outcome(asked), 'forbidden', String(at));
});

test('a compromised worker: no key beyond its tickets; what it got is named, called back, and ends its leases', async () => {
  const evil = service.call('crypto-worker');
  const signer = await service.as('ingress').ticketSigner();
  const own = await service.as('crypto-worker', 'evil').ticketSigner();
  const began = new Date();
  const lease = (keyId: KeyId, mail: Mail, by = signer) =>
    outcome(() => {
      const { ticket, envelope } = ticketFor(by, mail);
      const ephemeral = ephemeralBytes(generateKeyPairSync('x25519').publicKey);
      return evil.call('lease', { instance: 'evil', keyId, ephemeral, ticket, envelope: encodeEnvelope(envelope) });
    });
  const toBob: Mail = { tenant: 'beta', direction: 'inbound', from: '', to: ['bob@beta.test'] };
  assert.equal(await lease(alice, {}), 'ok');
  assert.equal(await lease(bob, toBob), 'ok');
  assert.equal(await lease(carol, {}), 'key-denied');
  assert.equal(await lease(carol, { from: 'carol@alpha.test' }, own), 'ticket-invalid');
  assert.equal(await lease('alpha/ca.internal/ca/1' as KeyId, {}), 'key-denied');

  const { file } = service.config.keyServer.audit;
  const { exposures } = await findExposure(file, 'evil', began, new Date());
  assert.deepEqual(exposures.map(({ key }) => key.replace(/[0-9a-f]{32}/, '*')).sort(), [
    'alpha/*/signing/1',
    'beta/*/decryption/1',
  ]);
  await admin.call('lease-revoke', { worker: 'evil' });
  for (const deadline = performance.now() + 5_000; (await lease(alice, {})) !== 'lease-overloaded'; await sleep(50)) {
    assert.ok(performance.now() < deadline, 'not cut off');
  }
  assert.equal(await outcome(() => evil.call('lease-revoke', { worker: 'default' })), 'forbidden');
  const refused = (await findActs(file, { worker: 'evil', operation: 'lease' })).acts.filter(
    ({ result }) => result !== 'ok',
  );
  assert.ok(refused.length >= 4);
});

test('a rogue administrator: alone, nothing that needs another; no second word under his own name; all on record', async () => {
  assert.ok(mallory);
  const policy = firstPolicy(false);
  for (const name of actNames) assert.ok(policyOf(policy).approvals(name).needed >= 1, name);

  const message = createHash('sha256').update('mail').digest('hex');
  const to = ephemeralBytes(generateKeyPairSync('x25519').publicKey).toString('base64');
  const items = [{ recipientInfo: Buffer.alloc(64).toString('base64'), keyLength: 32 }];
  const wanted = [
    { act: 'break-glass-decrypt', params: { tenant: 'beta', address: 'bob@beta.test', message, to, items } },
    { act: 'policy-change', params: { policy: { ...policy, retentionDays: 0 } } },
  ];
  for (const { act, params } of wanted) {
    const { id, canonical, hash } = await admin.call('act-request', { act, params, reason: 'mine' });
    assert.equal(await outcome(() => admin.call('act-execute', { id })), 'approvals-missing');
    const signature = signApproval(canonical, mallory.privateKey);
    const approval = { id, hash, signature, code: '000000' };
    assert.match(await outcome(() => admin.call('act-approve', approval)), /^(approval-own|code-wrong)$/);
    assert.equal(await outcome(() => admin.call('act-execute', { id })), 'approvals-missing');
    const { acts } = await findActs(service.config.keyServer.audit.file, { operation: 'act-request' });
    assert.ok(acts.some(({ name, result }) => name === 'mallory' && result === 'ok'));
  }
  // Whatever he may ask for by himself holds no private key: those operations are for stages.
  const { ticket, envelope } = ticketFor(await service.as('ingress').ticketSigner());
  const ephemeral = ephemeralBytes(generateKeyPairSync('x25519').publicKey);
  const common = { instance: 'm', keyId: alice, ephemeral, ticket, envelope: encodeEnvelope(envelope) };
  assert.equal(await outcome(() => admin.call('lease', common)), 'forbidden');
  const spool = { instance: 'm', keyId: 'alpha/stage.crypto/spool/1', ephemeral };
  assert.equal(await outcome(() => admin.call('spool-private-key', spool)), 'forbidden');
  const shown = JSON.stringify([
    await admin.call('keys-list', {}),
    await admin.call('keys-show', { keyId: alice }),
    await admin.call('identity-show', { address: 'alice@alpha.test' }),
  ]);
  assert.doesNotMatch(shown, /wrapped|pkcs8|privateKey|secret/i);
});
