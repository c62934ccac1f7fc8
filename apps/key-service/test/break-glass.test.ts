// Break-glass: a message of one person is opened by two people together, and by nobody else and nothing less.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { tenantId } from '@sealpost/core';
import {
  ephemeralBytes,
  findActs,
  type KeyConnection,
  KeyFault,
  openKeyConnection,
  openReleasedKey,
  signApproval,
} from '@sealpost/service';
import { type KeyPort, localKeys, open, parseCertificate, protect } from '@sealpost/smime';
import { firstPolicy } from '../src/policy/first-policy.ts';
import { readSlotFile } from '../src/vault/slot-file.ts';
import { addPerson, codeFor, type TestPerson, withStore } from './people.ts';
import { type RunningKeyService, runKeyService } from './running-key-service.ts';

const address = 'bob@beta.test';
const cli = join(import.meta.dirname, '../../cli/src/main.ts');

let service: RunningKeyService;
let message: Buffer;
let items: { recipientInfo: string; keyLength: number }[] = [];
const connections = new Map<string, KeyConnection>();
const people = new Map<string, TestPerson>();
const codes = new Map<string, () => string>();

before(async () => {
  service = await runKeyService({
    prepare: (directory, config) =>
      withStore(config, readSlotFile(join(directory, 'root')).bytes, async (store) => {
        for (const [role, name] of [
          ['key-admin', 'alice'],
          ['custodian', 'carla'],
          ['custodian', 'cleo'],
          ['auditor', 'audrey'],
        ] as const) {
          people.set(name, await addPerson(store, directory, role, name));
        }
        // A version that is destroyed opens nothing and is in nobody's way.
        const { privateKey: old } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
        const key = await store.keys.add({
          tenant: tenantId('beta'),
          identity: address,
          use: 'decryption',
          privateKey: old,
        });
        await store.keys.move(key, { state: 'destroyed', since: new Date(), compromised: false });
        await store.policies.replace(firstPolicy(false));
      }),
  });
  for (const [name, person] of people) {
    const connection = openKeyConnection(service.config.keyService, person);
    const { uri } = await connection.call('people-enrol', {});
    let step = -1;
    const code = () => codeFor(uri, step++);
    await connection.call('people-confirm', { code: code() });
    // An approval takes a code of its own, and the window has three.
    if (name !== 'cleo') await connection.call('people-present', { code: code() });
    connections.set(name, connection);
    codes.set(name, code);
  }
  await as('alice').call('identity-add', { address, algorithm: 'p-256' });
  const { records } = await as('alice').call('identity-show', { address });
  const record = records.find(({ keyId }) => keyId?.includes('/decryption/'));
  const certificate = parseCertificate(record?.certificate ?? Buffer.alloc(0));
  const mail = Buffer.from('From: x@y.test\r\nTo: bob@beta.test\r\nContent-Type: text/plain\r\n\r\nThe evidence\r\n');
  message = await protect(mail, { keys: localKeys([]), encrypt: { recipients: [certificate] }, now: new Date() });
  const keys: KeyPort = {
    sign: () => Buffer.alloc(0),
    openRecipient({ recipientInfo, keyLength }) {
      items = [{ recipientInfo: recipientInfo.toString('base64'), keyLength }];
      return undefined;
    },
  };
  await open(message, { keys, recipients: [certificate], trust: [], at: new Date() });
});
after(async () => {
  for (const connection of connections.values()) connection.close();
  await service[Symbol.asyncDispose]();
});

function as(name: string): KeyConnection {
  return connections.get(name) ?? assert.fail(name);
}

const isFault = (code: string) => (error: unknown) => error instanceof KeyFault && error.code === code;

const { publicKey, privateKey } = generateKeyPairSync('x25519');

function request(name: string, more: Record<string, unknown> = {}) {
  const to = ephemeralBytes(publicKey).toString('base64');
  const params = { tenant: 'beta', address, message: 'a'.repeat(64), to, items, ...more };
  return as(name).call('act-request', { act: 'break-glass-decrypt', params: params as never, reason: 'court order' });
}

async function approve(name: string, id: string): Promise<void> {
  const { canonical, hash } = await as(name).call('act-show', { id });
  const signature = signApproval(canonical, (await people.get(name))?.privateKey ?? assert.fail());
  await as(name).call('act-approve', { id, hash, signature, code: codes.get(name)?.() ?? '' });
}

test('the content key comes out with the approval of another person, sealed to the requester, once', async () => {
  const { id, summary } = await request('alice');
  assert.equal(summary, `open the message with SHA-256 ${'a'.repeat(64)} of ${address}`);
  await assert.rejects(as('alice').call('act-execute', { id }), isFault('approvals-missing'));
  await approve('carla', id);
  await assert.rejects(as('carla').call('act-execute', { id }), isFault('forbidden'));
  const { result } = await as('alice').call('act-execute', { id });
  const { contentKeys } = result as { contentKeys: string[] };
  const [sealed] = contentKeys;
  const recipientInfo = Buffer.from(items[0]?.recipientInfo ?? '', 'base64');
  const binding = { tenant: 'beta', address, recipientInfo };
  assert.equal(openReleasedKey(Buffer.from(sealed ?? '', 'base64'), binding, privateKey).length, 32);
  for (const change of [{ address: 'eve@beta.test' }, { tenant: 'alpha' }, { recipientInfo: Buffer.alloc(3) }]) {
    assert.throws(() => openReleasedKey(Buffer.from(sealed ?? '', 'base64'), { ...binding, ...change }, privateKey));
  }
  await assert.rejects(as('alice').call('act-execute', { id }), KeyFault);

  const { acts } = await findActs(service.config.keyServer.audit.file, { operation: 'act-execute' });
  const done = acts.find(({ result: how }) => how === 'ok');
  assert.match(done?.address ?? '', /^[0-9a-f]{32}$/);
  assert.equal(done?.name, 'alice');
});

test('whoever may not, and whatever is not a RecipientInfo of that person, gets nothing', async () => {
  await assert.rejects(request('audrey'), isFault('forbidden'));
  await assert.rejects(request('carla'), isFault('forbidden'));
  await assert.rejects(request('alice', { address: 'nobody@beta.test' }), isFault('not-found'));
  for (const more of [
    { items: [] },
    { items: Array.from({ length: 9 }, () => items[0]) },
    { to: 'AAAA' },
    { to: Buffer.alloc(32).toString('base64') },
    { message: 'x' },
    { address: 'no address' },
    { items: [{ ...items[0], keyLength: 65 }] },
    { more: 1 },
  ]) {
    await assert.rejects(request('alice', more), isFault('request-malformed'), JSON.stringify(more));
  }
  const garbage = { recipientInfo: Buffer.alloc(64, 0x30).toString('base64'), keyLength: 32 };
  const { id } = await request('alice', { items: [garbage] });
  await approve('cleo', id);
  assert.deepEqual((await as('alice').call('act-execute', { id })).result, { contentKeys: [null] });
});

test('the command line requests, waits for the approval, and opens the message; the service never sees it', async () => {
  const { directory, configFile } = service;
  const [mail, keep, out] = ['mail.eml', 'bob.keep', 'opened.eml'].map((name) => join(directory, name));
  assert.ok(mail && keep && out);
  writeFileSync(mail, message);
  const sealpost = (...args: string[]) =>
    spawnSync(
      process.execPath,
      [cli, 'break-glass', ...args, '--config', configFile, '--as', join(directory, 'alice')],
      {
        encoding: 'utf8',
      },
    );
  const asked = sealpost('request', mail, '--address', address, '--reason', 'court order', '--keep', keep);
  assert.equal(asked.status, 0, asked.stderr);
  const { request: id, privateKey: kept } = JSON.parse(readFileSync(keep, 'utf8'));
  assert.equal(statSync(keep).mode & 0o777, 0o600);
  assert.equal(
    createPrivateKey({ key: Buffer.from(kept, 'base64'), format: 'der', type: 'pkcs8' }).asymmetricKeyType,
    'x25519',
  );
  assert.notEqual(sealpost('open', mail, '--keep', keep, '--out', out).status, 0);
  await approve('cleo', id);
  const opened = sealpost('open', mail, '--keep', keep, '--out', out);
  assert.equal(opened.status, 0, opened.stderr);
  assert.match(readFileSync(out, 'utf8'), /The evidence/);
  assert.equal(statSync(out).mode & 0o777, 0o600);
});
