// What reads, decides and writes, asked for by many at the same moment: the store is one, and so is every decision. Codes of the second
// factor: factors.test.ts; slots: slots.test.ts; versions of keys: store.test.ts.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { encodeEnvelope, tenantId } from '@sealpost/core';
import { type AuditEntry, KeyFault } from '@sealpost/service';
import { personRemove } from '../src/acts/person.ts';
import { issueClientCertificate, issueTicketCertificate } from '../src/authority/service-authority.ts';
import { addIdentity } from '../src/authority/tenant-authority.ts';
import { moveKey, self } from '../src/lifecycle/move-key.ts';
import type { OpenStore } from '../src/open-store.ts';
import { actExecute, actRequest } from '../src/operations/acts.ts';
import { lease } from '../src/operations/lease.ts';
import type { Call } from '../src/operations/operation.ts';
import { firstPolicy } from '../src/policy/first-policy.ts';
import { openedStore } from './opened-store.ts';
import { ticketFor } from './running-key-service.ts';

const alpha = tenantId('alpha');
const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const count = (done: readonly PromiseSettledResult<unknown>[], status: 'fulfilled' | 'rejected'): number =>
  done.filter((each) => each.status === status).length;

function callBy(store: OpenStore, caller: Call['caller']): Call {
  return { caller, store, tenants: [], installation: 'gateway', now: store.now(), note: () => undefined };
}

async function person(store: OpenStore, role: 'operator' | 'key-admin' | 'custodian', name: string): Promise<Call> {
  const key = generateKeyPairSync('ed25519').publicKey;
  const certificate = await issueClientCertificate(store.serviceAuthority, role, name, key);
  await store.people.add(name, role, certificate, store.now());
  return callBy(store, { role, name, fingerprint: certificate.fingerprint });
}

test('a request is executed by one of twenty tries, and a refusal among them wins or loses whole', async () => {
  await using opened = await openedStore();
  const store = opened.store();
  const operator = await person(store, 'operator', 'otto');
  for (const withRefusal of [false, true]) {
    const use = withRefusal ? 'ca' : 'signing';
    const { id } = await actRequest.run({ act: 'kek-rotate', params: { use }, reason: 'because' }, operator);
    const refuse = () => store.requests.change(id, store.now(), async () => ({ state: 'refused' }));
    const tries = Array.from({ length: 20 }, (_, at) =>
      withRefusal && at === 0 ? refuse() : actExecute.run({ id }, operator),
    );
    const done = await Promise.allSettled(tries);
    assert.equal(count(done, 'fulfilled'), 1);
    const { state } = await store.requests.get(id);
    assert.equal(state, withRefusal ? 'refused' : 'executed');
    const versions = store.kekRotation.versions().find((each) => each.use === use)?.versions.length;
    assert.equal(versions, state === 'executed' ? 2 : 1);
  }
});

test('approvals of many stand beside each other, and each counts once', async () => {
  await using opened = await openedStore();
  const store = opened.store();
  const operator = await person(store, 'operator', 'otto');
  const { id } = await actRequest.run({ act: 'kek-rotate', params: { use: 'ca' }, reason: 'because' }, operator);
  const approve = (name: string) =>
    store.requests.change(id, store.now(), async ({ approvals }) => {
      await nextTurn();
      if (approvals.some((each) => each.name === name)) throw new KeyFault('approved-already');
      const at = store.now().toISOString();
      return { approvals: [...approvals, { role: 'custodian', name, certificate: '', at, signature: '' }] };
    });
  const names = Array.from({ length: 10 }, (_, at) => `custodian-${at}`);
  const done = await Promise.allSettled([...names, ...names].map(approve));
  assert.equal(count(done, 'fulfilled'), names.length);
  const { approvals } = await store.requests.get(id);
  assert.deepEqual(approvals.map(({ name }) => name).sort(), names);
});

test('two who shut each other out leave those whom the policy needs', async () => {
  await using opened = await openedStore();
  const store = opened.store();
  await person(store, 'key-admin', 'karl');
  await person(store, 'custodian', 'carla');
  const caller = await person(store, 'custodian', 'cleo');
  await store.policies.replace(firstPolicy(false));
  const done = await Promise.allSettled(['carla', 'cleo'].map(async (name) => personRemove.run({ name }, caller)));
  assert.equal(count(done, 'fulfilled'), 1);
  assert.equal((await store.people.list()).length, 2);
});

test('a key that is suspended among leases is held by nobody afterwards who was not called back', async () => {
  await using opened = await openedStore();
  const store = opened.store();
  const algorithm = 'p-256';
  const names = { tenant: alpha, address: 'alice@alpha.test', commonName: 'Alice' };
  await addIdentity({ ...names, algorithm, decryptionAlgorithm: algorithm, single: false }, store);
  const ticketCertificate = await issueTicketCertificate(store.serviceAuthority, 'ingress', 'one', publicKey);
  const { ticket, envelope } = ticketFor({ role: 'ingress', certificate: ticketCertificate.der, privateKey });
  const caller = { role: 'crypto-worker', name: 'w', fingerprint: 'f' } as const;
  const ephemeral = generateKeyPairSync('x25519').publicKey.export({ format: 'raw-public' });
  for (const place of [0, 3, 6]) {
    const key = await store.keys.current(alpha, names.address, 'signing');
    assert.ok(key);
    const request = { instance: `w${place}`, keyId: key.keyId, ticket, envelope: encodeEnvelope(envelope), ephemeral };
    const ask = async () => lease.run(request, callBy(store, caller));
    const tries: Promise<unknown>[] = Array.from({ length: place }, ask);
    const suspended = moveKey(key, 'suspend', store, self);
    const done = await Promise.allSettled([...tries, ...Array.from({ length: 6 - place }, ask)]);
    const moved = await suspended;
    assert.equal(count(done, 'fulfilled'), place);
    assert.equal(store.leases.live(store.now()), 0);
    const [last] = store.leases.revocations.list(store.now()).slice(-1);
    assert.deepEqual(
      last?.awaited.map(({ instance }) => instance),
      place > 0 ? [request.instance] : [],
    );
    await moveKey(moved, 'resume', store, self);
    await store.leases.revocations.acknowledge({ client: 'f', name: 'w', instance: request.instance });
  }
});

test('whoever waits for the log finds his own change in it, and each is there once', async () => {
  await using opened = await openedStore();
  const store = opened.store();
  const log: AuditEntry[] = [];
  const append = async (entry: AuditEntry): Promise<void> => {
    await nextTurn();
    log.push(entry);
  };
  const work = Array.from({ length: 40 }, async (_, at) => {
    const key = await store.keys.add({ tenant: alpha, identity: `a${at}@a.test`, use: 'signing', privateKey });
    if (at % 3 === 0) await nextTurn();
    await moveKey(key, 'suspend', store, self);
    await store.outbox.flush(append);
    assert.ok(
      log.some((entry) => entry.key === store.auditKey(key.keyId)),
      `change ${at}`,
    );
  });
  await Promise.all(work);
  await store.outbox.flush(append);
  assert.equal(log.length, work.length);
});

test('keys that move while their KEK is replaced keep both', async () => {
  await using opened = await openedStore();
  const store = opened.store();
  const keys = await Promise.all(
    Array.from({ length: 100 }, (_, at) =>
      store.keys.add({ tenant: alpha, identity: `a${at}@a.test`, use: 'signing', privateKey }),
    ),
  );
  await store.kekRotation.begin('signing', self);
  await store.kekRotation.begin('record', self);
  const rewrap = async (): Promise<void> => {
    while (await store.kekRotation.step()) await nextTurn();
  };
  const moves = keys.map(async (key, at) => {
    for (let turn = at % 5; turn > 0; turn--) await nextTurn();
    await moveKey(key, 'deactivate', store, self);
  });
  await Promise.all([rewrap(), ...moves]);
  await opened.reopen();
  const after = await opened.store().keys.ofTenant(alpha);
  assert.equal(after.length, keys.length);
  for (const key of after) assert.equal(key.state, 'deactivated');
  assert.deepEqual(
    opened
      .store()
      .kekRotation.versions()
      .flatMap(({ use, versions }) => (use === 'signing' || use === 'record' ? [versions] : [])),
    [[2], [2]],
  );
});
