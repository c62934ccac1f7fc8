// Ways into a running service: custodians with shares, a token by itself, slots that come and go under dual control, and what `init`
// hands out.

import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { chmodSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { codeOf } from '@sealpost/core';
import {
  fileSlot,
  findActs,
  type KeyConnection,
  KeyFault,
  type NewSlot,
  newSlotForm,
  passphraseBytes,
  passphraseSlot,
  readShare,
  shamirSlot,
  shareForService,
} from '@sealpost/service';
import { makeSoftHsm, softHsmModule, temporaryDirectory } from '@sealpost/testkit';
import { firstPolicy } from '../src/policy/first-policy.ts';
import { makeSlotFile, readSlotFile } from '../src/vault/slot-file.ts';
import { withStore } from './people.ts';
import { passphrase, runInit, runKeyService, writeConfig } from './running-key-service.ts';

const isFault = (code: string) => (error: unknown) => error instanceof KeyFault && error.code === code;

/** Another slot in a store of which we know the passphrase. */
const addTo = (slot: NewSlot) => (_: string, config: Parameters<typeof withStore>[0]) =>
  withStore(config, passphraseBytes(passphrase), (store) => store.slots.add(slot));

async function handIn(operator: KeyConnection, share: Buffer) {
  const { unsealKey } = await operator.call('status', {});
  return await operator.call('unseal-share', { share: shareForService(share, unsealKey) });
}

test('custodians open the store together, see how far they are, and can begin again; all of it is on record', async () => {
  const { slot, shares } = await shamirSlot('people', 2, 3);
  const [a, b, c] = shares;
  assert.ok(a && b && c);
  await using service = await runKeyService({ slot: 'passphrase', prepare: addTo(slot) });
  const operator = service.call('operator');
  const before = await operator.call('status', {});
  assert.deepEqual(before.shares, [{ slot: 'people', have: 0, need: 2, of: 3 }]);
  assert.equal(before.risk, undefined);
  const sealed = shareForService(a, before.unsealKey);
  await assert.rejects(service.call('ingress').call('unseal-share', { share: sealed }), isFault('forbidden'));
  await assert.rejects(service.call('egress').call('unseal-reset', {}), isFault('forbidden'));

  assert.equal((await operator.call('unseal-share', { share: sealed })).shares[0]?.have, 1);
  assert.equal((await operator.call('unseal-share', { share: sealed })).shares[0]?.have, 1);
  await assert.rejects(handIn(operator, randomBytes(33)), isFault('share-wrong'));
  await assert.rejects(operator.call('unseal-share', { share: randomBytes(80) }), isFault('share-wrong'));
  assert.equal((await operator.call('unseal-reset', {})).shares[0]?.have, 0);
  assert.equal((await handIn(operator, b)).sealed, true);
  assert.equal((await handIn(operator, c)).sealed, false);
  assert.deepEqual((await operator.call('status', {})).shares, []);
  assert.equal((await handIn(operator, a)).sealed, false);

  // After a restart nothing is in hand, and a share that was caught on its way before opens nothing.
  await handIn(operator, b);
  await service.end('SIGKILL');
  await service.start();
  const again = service.call('operator');
  assert.deepEqual((await again.call('status', {})).shares, [{ slot: 'people', have: 0, need: 2, of: 3 }]);
  await assert.rejects(again.call('unseal-share', { share: sealed }), isFault('share-wrong'));
  await again.call('unseal', { passphrase });

  const { acts } = await findActs(service.config.keyServer.audit.file, {});
  const told = (operation: string) =>
    acts.filter((act) => act.operation === operation).map(({ slot: of, count, result }) => [of, count, result]);
  assert.deepEqual(told('unseal-share').slice(0, 6), [
    [undefined, undefined, 'forbidden'],
    ['people', 1, 'ok'],
    ['people', 1, 'ok'],
    [undefined, undefined, 'share-wrong'],
    [undefined, undefined, 'share-wrong'],
    ['people', 1, 'ok'],
  ]);
  assert.deepEqual(told('unseal-reset'), [
    [undefined, undefined, 'forbidden'],
    [undefined, 1, 'ok'],
  ]);
  assert.deepEqual(
    told('store-opened')
      .map(([of]) => of)
      .slice(-2),
    ['people', 'passphrase'],
  );
});

test('slots come and go by acts; the last stays, and one alone only by somebody who says so', async () => {
  await using service = await runKeyService({ slot: 'passphrase' });
  const operator = service.call('operator');
  await operator.call('unseal', { passphrase });
  const act = async (name: 'slot-add' | 'slot-remove' | 'slot-rotate', params: Record<string, never>) => {
    const { id, summary } = await operator.call('act-request', { act: name, params, reason: 'test' });
    const { result } = await operator.call('act-execute', { id });
    return { summary, result };
  };
  const asked = async (label: string, words: string) =>
    ({ slot: newSlotForm.encode(await passphraseSlot(label, passphraseBytes(words))) }) as unknown as Record<
      string,
      never
    >;
  const removal = (label: string, leavesOne: boolean) => ({ label, leavesOne }) as unknown as Record<string, never>;

  const { summary, result } = await act('slot-add', await asked('second', 'another long passphrase'));
  assert.match(summary, /^add the slot second: a passphrase \(key [0-9a-f]{16}\)$/);
  assert.deepEqual(result, { slots: ['passphrase', 'second'] });
  await assert.rejects(act('slot-add', await asked('second', 'another long passphrase')), isFault('slot-exists'));
  await assert.rejects(act('slot-rotate', await asked('third', 'another long passphrase')), isFault('not-found'));
  await assert.rejects(act('slot-add', { slot: { kind: 'file' } } as never), isFault('request-malformed'));
  await act('slot-rotate', await asked('second', 'a third long passphrase'));

  await operator.call('seal', {});
  await assert.rejects(operator.call('unseal', { passphrase: 'another long passphrase' }), isFault('passphrase-wrong'));
  await operator.call('unseal', { passphrase: 'a third long passphrase' });
  await assert.rejects(act('slot-remove', removal('passphrase', false)), isFault('slot-leaves-one'));
  await assert.rejects(act('slot-remove', removal('nobody', true)), isFault('not-found'));
  await act('slot-remove', removal('passphrase', true));
  await assert.rejects(act('slot-remove', removal('second', true)), isFault('slot-last'));
  await operator.call('seal', {});
  await assert.rejects(operator.call('unseal', { passphrase }), isFault('passphrase-wrong'));
  const status = await operator.call('unseal', { passphrase: 'a third long passphrase' });
  assert.equal(status.risk, 'one-slot');
});

test('a store that a development file opened once stays marked, whatever opens it later', async () => {
  await using place = await temporaryDirectory();
  const file = join(place.path, 'development');
  makeSlotFile(file);
  const slot = await fileSlot('mount', readSlotFile(file).bytes);
  const keyServer = { slots: [{ kind: 'file', file }] };
  await using service = await runKeyService({ slot: 'passphrase', keyServer, prepare: addTo(slot) });
  const operator = service.call('operator');
  assert.deepEqual(await stateOf(operator), { sealed: false, development: true });
  chmodSync(file, 0o644);
  await service.end();
  await service.start();
  const again = service.call('operator');
  assert.deepEqual(await stateOf(again), { sealed: true, development: true });
  assert.equal((await again.call('status', {})).reason, 'slot-unreadable');
  await again.call('unseal', { passphrase });
  assert.deepEqual(await stateOf(again), { sealed: false, development: true });
});

async function stateOf(operator: KeyConnection) {
  const { sealed, development } = await operator.call('status', {});
  return { sealed, development };
}

test('with the rules of production nobody changes a slot alone', async () => {
  await using service = await runKeyService({
    slot: 'passphrase',
    prepare: (_, config) =>
      withStore(config, passphraseBytes(passphrase), async (store) => {
        await store.policies.replace(firstPolicy(false));
      }),
  });
  const operator = service.call('operator');
  await operator.call('unseal', { passphrase });
  const params = { label: 'passphrase', leavesOne: true };
  await assert.rejects(operator.call('act-request', { act: 'slot-remove', params, reason: 'alone' }), KeyFault);
  assert.equal((await operator.call('status', {})).slots.length, 1);
});

test('init hands shares out, each to its own, and they open the store for it again', async () => {
  await using directory = await temporaryDirectory();
  const at = (name: string) => join(directory.path, name);
  const config = writeConfig(directory.path, 1, 2, { slot: 'passphrase' });
  const custodians = ['alice', 'bob', 'carol'].map((name) => {
    const { publicKey, privateKey } = generateKeyPairSync('x25519');
    writeFileSync(at(`${name}.pub`), publicKey.export({ format: 'pem', type: 'spki' }));
    writeFileSync(at(`${name}.pem`), privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
    return { name, privateKey };
  });
  const to = custodians.flatMap(({ name }) => ['--custodian', `${name}=${at(`${name}.pub`)}`]);
  const init = (...more: string[]) => runInit(config, undefined, more);
  assert.match(init('--slot', 'people=shamir:2/3').stderr, /--shares-dir/);
  assert.match(init('--slot', 'shamir:4/3', '--shares-dir', at('shares')).stderr, /written as 3\/5/);
  assert.match(init('--slot', 'nonsense').stderr, /written as passphrase/);
  const two = to.slice(0, 4);
  assert.match(init('--slot', 'shamir:2/3', '--shares-dir', at('few'), ...two).stderr, /3 shares and 2 custodians/);

  const made = init('--slot', 'people=shamir:2/3', '--shares-dir', at('shares'), ...to);
  assert.equal(made.status, 0, made.stderr);
  assert.match(made.stdout, /WARNING: the store has one slot/);
  const files = readdirSync(at('shares')).map((file) => join(at('shares'), file));
  assert.equal(files.length, 3);
  for (const [index, file] of files.entries()) {
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const text = readFileSync(file, 'utf8');
    assert.match(text, /^# Sealpost: share \d of 3 of the slot "people"/);
    assert.throws(() => readShare(text), /sealed/);
    for (const [other, { privateKey }] of custodians.entries()) {
      if (other === index) assert.equal(readShare(text, privateKey).length, 33);
      else assert.throws(() => readShare(text, privateKey), /damaged, or sealed to another key/);
    }
  }

  // Again, with shares that were opened by their custodians.
  const share = (name: string) => join(at('shares'), `people-${name}.share`);
  assert.match(init('--share-file', share('alice'), '--share-key', at('alice.pem')).stderr, /not enough/);
  assert.match(init().stderr, /passphrase is needed/);
  assert.match(init('--slot', 'passphrase').stderr, /made already/);
});

suite('with SoftHSM', { skip: softHsmModule === undefined && 'SoftHSM or its binding is not installed' }, () => {
  test('a token opens the store at each start; without it people do', async () => {
    await using place = await temporaryDirectory();
    const token = makeSoftHsm(place.path);
    Object.assign(process.env, token.environment);
    token.makeAesKey('root', '01');
    const keyServer = { pkcs11: token.place, slots: [{ kind: 'pkcs11', label: 'root' }] };
    await using service = await runKeyService({ fresh: true, slot: 'passphrase', keyServer, slots: ['passphrase'] });
    const status = await service.call('operator').call('status', {});
    assert.deepEqual(
      status.slots.map(({ kind }) => kind),
      ['passphrase', 'pkcs11'],
    );
    assert.equal(status.sealed, false);
    assert.equal(status.risk, undefined);
    await service.end('SIGKILL');
    await service.start();
    assert.equal((await service.call('operator').call('status', {})).sealed, false);

    renameSync(token.place.pinFile, `${token.place.pinFile}.away`);
    await service.end();
    await service.start();
    const operator = service.call('operator');
    const without = await operator.call('status', {});
    assert.deepEqual([without.sealed, without.reason], [true, 'awaits-token']);
    await assert.rejects(
      operator.call('identity-add', { address: 'a@alpha.test' }),
      (error) => codeOf(error) === 'key-service-sealed',
    );
    assert.equal((await operator.call('unseal', { passphrase })).sealed, false);
    assert.match(service.output(), /"hsm\.failed"/);
  });

  test('a token that comes later opens the store then, unless somebody said meanwhile that it stays sealed', async () => {
    await using place = await temporaryDirectory();
    const token = makeSoftHsm(place.path);
    Object.assign(process.env, token.environment);
    token.makeAesKey('root', '01');
    const keyServer = { pkcs11: token.place, slots: [{ kind: 'pkcs11', label: 'root' }] };
    const tokens = join(place.path, 'tokens');
    const prepare = () => renameSync(tokens, `${tokens}.away`);
    await using service = await runKeyService({
      fresh: true,
      slot: 'passphrase',
      keyServer,
      slots: ['passphrase'],
      prepare,
    });
    const operator = service.call('operator');
    const reason = async () => (await operator.call('status', {})).reason;
    const awaited = async () => {
      const metrics = await fetch(`http://127.0.0.1:${service.config.http.keyService.port}/metrics`);
      return /^sealpost_key_store_awaits_token\S* (\d)$/m.exec(await metrics.text())?.[1];
    };
    assert.deepEqual([await reason(), await awaited()], ['awaits-token', '1']);
    renameSync(`${tokens}.away`, tokens);
    for (const deadline = Date.now() + 15_000; (await reason()) !== undefined && Date.now() < deadline; )
      await wait(50);
    assert.deepEqual([await reason(), await awaited()], [undefined, '0']);
    assert.match(service.output(), /"store\.awaits-token"/);

    await service.end();
    prepare();
    await service.start();
    assert.equal(await reason(), 'awaits-token');
    assert.equal((await operator.call('seal', {})).reason, 'waiting');
    renameSync(`${tokens}.away`, tokens);
    await wait(3_000);
    assert.equal((await operator.call('status', {})).sealed, true);
    assert.equal((await operator.call('unseal', { passphrase })).sealed, false);
    assert.equal(service.output().match(/"store\.awaits-token"/g)?.length, 2);
  });

  test('a service that waits for its token ends when it is told to', async () => {
    await using place = await temporaryDirectory();
    const token = makeSoftHsm(place.path);
    Object.assign(process.env, token.environment);
    token.makeAesKey('root', '01');
    const keyServer = { pkcs11: token.place, slots: [{ kind: 'pkcs11', label: 'root' }] };
    const prepare = () => renameSync(token.place.pinFile, `${token.place.pinFile}.away`);
    await using service = await runKeyService({
      fresh: true,
      slot: 'passphrase',
      keyServer,
      slots: ['passphrase'],
      prepare,
    });
    assert.equal((await service.call('operator').call('status', {})).reason, 'awaits-token');
    const before = Date.now();
    await service.end();
    assert.ok(Date.now() - before < 5_000);
  });
});
