// What a client with a valid credential and bad intentions can send: the service refuses, says nothing, and goes on serving.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { KeyFault, openKeyConnection } from '@sealpost/service';
import { addPerson, type TestPerson, withStore } from './people.ts';
import { passphrase, type RunningKeyService, runKeyService } from './running-key-service.ts';

let service: RunningKeyService;

before(async () => {
  service = await runKeyService();
});

after(() => service[Symbol.asyncDispose]());

function credential(role = 'operator'): ConnectionOptions {
  const { credentials, passphraseFile, caFile } = service.config.keyService;
  return {
    host: '127.0.0.1',
    port: service.port,
    ca: readFileSync(caFile),
    cert: readFileSync(join(credentials, `${role}.crt`)),
    key: readFileSync(join(credentials, `${role}.key`)),
    passphrase: readFileSync(passphraseFile ?? '', 'utf8').trim(),
  };
}

interface Sent {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
}

function send(
  body: string | Buffer,
  { method = 'POST', path = '/v1/identity-add', headers = {} }: Sent = {},
): Promise<string> {
  return new Promise((resolve) => {
    const options = {
      ...credential(),
      method,
      path,
      agent: false,
      headers: { 'content-type': 'application/json', ...headers },
    };
    const sent = request(options, (response) => {
      let text = '';
      response.on('data', (part: Buffer) => (text += part.toString()));
      response.on('end', () => resolve(`${response.statusCode} ${text}`));
      response.on('error', () => resolve('closed'));
    });
    sent.on('error', () => resolve('closed'));
    sent.end(body);
  });
}

async function serves(): Promise<void> {
  assert.match(await send('{}', { path: '/v1/status' }), /^200 /);
}

const malformed =
  /^400 \{"code":"request-malformed","text":"The request does not have the form that this operation asks for"\}$/;

test('bodies that are not what the operation takes are refused with one sentence', async () => {
  const bodies = [
    '',
    '{',
    'null',
    '[]',
    '"text"',
    '7',
    '{"address":7}',
    '{"address":"a@alpha.test","more":1}',
    '{"address":"a b@alpha.test"}',
    '{"address":"a@alpha.test\\r\\nX: y"}',
    '{"address":"a@alpha.test","algorithm":"rsa-512"}',
    '{"address":"a@alpha.test","__proto__":{"single":true}}',
    '{"address":"a@alpha.test","constructor":{"prototype":{"x":1}}}',
    `{"address":"${'a'.repeat(400)}@alpha.test"}`,
    `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
    `${'{"address":'.repeat(50_000)}1${'}'.repeat(50_000)}`,
    Buffer.from([0xff, 0xfe, 0x00]),
  ];
  for (const body of bodies) {
    assert.match(await send(body), malformed, String(body).slice(0, 60));
  }
  await serves();
});

test('a body that is too long is refused before it is read to its end', async () => {
  const long = `{"address":"${'a'.repeat(2_000_000)}"}`;
  assert.match(await send(long), /^413 \{"code":"request-too-large"|^closed$/);
  assert.match(await send(long.slice(0, 10), { headers: { 'content-length': '99999999' } }), /^413 |^closed$/);
  await serves();
});

test('other content types and methods do nothing', async () => {
  for (const type of [
    'text/plain',
    'application/xml',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json; x',
  ]) {
    assert.match(
      await send('{"address":"typed@alpha.test"}', { headers: { 'content-type': type } }),
      /^(400|200) /,
      type,
    );
  }
  for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PATCH']) {
    assert.match(await send('', { method, path: '/v1/status' }), /^(404|400) |^closed$/, method);
  }
  await serves();
});

test('headers and paths without end close the connection', async () => {
  assert.match(await send('{}', { headers: { 'x-long': 'a'.repeat(20_000) } }), /^(431|400) |^closed$/);
  assert.match(await send('{}', { path: `/v1/${'a'.repeat(7_000)}` }), /^(404|414|431|400) |^closed$/);
  await serves();
});

test('errors of the service are constant sentences: nothing of the request comes back', async () => {
  for (const body of ['{"address":"marker-7261@nowhere.test"}', '{"tenant":"marker-7261"}']) {
    assert.doesNotMatch(await send(body), /marker-7261/);
  }
  assert.match(await send('{"address":"marker-7261@nowhere.test"}'), /^422 \{"code":"address-not-ours"/);
});

async function handshake(options: ConnectionOptions): Promise<TLSSocket | undefined> {
  const { promise, resolve } = Promise.withResolvers<TLSSocket | undefined>();
  const socket = connect({ ...credential(), ...options });
  socket.on('error', () => resolve(undefined));
  socket.on('secureConnect', () => resolve(socket));
  return await promise;
}

test('TLS 1.2 is not spoken', async () => {
  assert.equal(await handshake({ minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }), undefined);
  const socket = await handshake({});
  assert.equal(socket?.getProtocol(), 'TLSv1.3');
  socket?.destroy();
});

test('no session can be resumed past the check of the certificate', async () => {
  const first = await handshake({});
  assert.ok(first);
  let session: Buffer | undefined;
  first.on('session', (given: Buffer) => (session = given));
  first.write('POST /v1/status HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}');
  await new Promise((resolve) => first.once('data', resolve));
  first.destroy();
  if (session) {
    const second = await handshake({ session });
    assert.equal(second?.isSessionReused() ?? false, false);
    second?.destroy();
  }
  await serves();
});

test('a client certificate on the list of refused ones is refused, the others are not', async () => {
  await using other = await runKeyService({
    prepare(directory, { keyService }) {
      const { fingerprint256 } = new X509Certificate(readFileSync(join(keyService.credentials, 'egress.crt')));
      const file = join(directory, 'installation.yaml');
      const config = JSON.parse(readFileSync(file, 'utf8'));
      config.keyServer.refusedClients = [fingerprint256.replaceAll(':', '').toLowerCase()];
      writeFileSync(file, JSON.stringify(config));
    },
  });
  assert.equal((await other.call('ingress').call('status', {})).sealed, false);
  const refused = other.call('egress').call('status', {});
  await assert.rejects(refused, (error) => error instanceof KeyFault && error.code === 'forbidden');
});

test('somebody who was shut out opens nothing; while the store is sealed only the list of refused certificates says who that is', async () => {
  const people: TestPerson[] = [];
  await using other = await runKeyService({
    slot: 'passphrase',
    async prepare(directory, config) {
      await withStore(config, Buffer.from(passphrase), async (store) => {
        for (const name of ['dora', 'bob']) people.push(await addPerson(store, directory, 'custodian', name));
        for (const name of ['dora', 'bob']) await store.people.remove(name);
      });
      const { fingerprint256 } = new X509Certificate(readFileSync(join(directory, 'bob.crt')));
      const file = join(directory, 'installation.yaml');
      const changed = JSON.parse(readFileSync(file, 'utf8'));
      changed.keyServer.refusedClients = [fingerprint256.replaceAll(':', '').toLowerCase()];
      writeFileSync(file, JSON.stringify(changed));
    },
  });
  const [dora, bob] = people.map((person) => openKeyConnection(other.config.keyService, person));
  assert.ok(dora && bob);
  const isFault = (code: string) => (error: unknown) => error instanceof KeyFault && error.code === code;
  try {
    assert.equal((await dora.call('status', {})).sealed, true);
    await assert.rejects(dora.call('unseal', { passphrase: 'a guess of hers' }), isFault('passphrase-wrong'));
    for (const word of ['status', 'seal', 'unseal-reset'] as const)
      await assert.rejects(bob.call(word, {}), isFault('forbidden'), word);
    await assert.rejects(bob.call('unseal', { passphrase }), isFault('forbidden'));
    await other.call('operator').call('unseal', { passphrase });
    for (const word of ['status', 'seal'] as const) {
      await assert.rejects(dora.call(word, {}), isFault('person-unknown'), word);
      await assert.rejects(bob.call(word, {}), isFault('forbidden'), word);
    }
  } finally {
    for (const connection of [dora, bob]) connection.close();
  }
});
