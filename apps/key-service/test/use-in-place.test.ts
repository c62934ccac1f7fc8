// Keys used inside the service, at the wire: bounds of a batch, nothing for a batch with something odd in it, every use on record.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import {
  codeOf,
  encodeEnvelope,
  type Fingerprint,
  type KeyId,
  type KeyService,
  type TicketSigner,
} from '@sealpost/core';
import { findActs, type KeyAnswer, type KeyConnection, KeyFault, type KeyRequestInput } from '@sealpost/service';
import { type Certificate, type KeyPort, localKeys, open, parseCertificate, protect } from '@sealpost/smime';
import { type RunningKeyService, runKeyService, ticketFor } from './running-key-service.ts';

const alice = 'alpha/alice%40alpha.test/signing/1';
const bob = 'beta/bob%40beta.test/decryption/1';
const mail = Buffer.from('From: alice@alpha.test\r\nContent-Type: text/plain\r\n\r\nHello\r\n');
type Signing = KeyRequestInput<'sign'>['items'][number];
type Opening = KeyRequestInput<'open-recipient'>['items'][number];

let service: RunningKeyService;
let worker: KeyConnection;
let ingress: KeyService;
let signing: Signing;
let opening: Opening;

before(async () => {
  service = await runKeyService();
  const operator = service.call('operator');
  for (const address of ['alice@alpha.test', 'bob@beta.test']) await operator.call('identity-add', { address });
  worker = service.call('crypto-worker');
  ingress = service.as('ingress');
  signing = await askedToSign(await certificateOf('alpha', 'alice@alpha.test', alice));
  opening = await askedToOpen(await certificateOf('beta', 'bob@beta.test', bob));
});
after(() => service[Symbol.asyncDispose]());

async function certificateOf(tenant: string, address: string, keyId: string): Promise<Certificate> {
  const { records } = await worker.call('certificates', { tenant, address });
  return parseCertificate(records.find((record) => record.keyId === keyId)?.certificate ?? Buffer.alloc(0));
}

/** What the engine would ask for. */
async function askedToSign(certificate: Certificate): Promise<Signing> {
  const asked: Signing[] = [];
  const keys: KeyPort = {
    sign({ algorithm, signedAttributes }) {
      asked.push({ certificate: certificate.fingerprint, ...algorithm, signedAttributes });
      return Buffer.alloc(0);
    },
    openRecipient: () => undefined,
  };
  await protect(mail, { keys, sign: { certificate }, now: new Date() });
  return asked[0] ?? assert.fail();
}

async function askedToOpen(certificate: Certificate): Promise<Opening> {
  const made = await protect(mail, { keys: localKeys([]), encrypt: { recipients: [certificate] }, now: new Date() });
  const asked: Opening[] = [];
  const keys: KeyPort = {
    sign: () => Buffer.alloc(0),
    openRecipient({ recipientInfo, keyLength }) {
      asked.push({ recipientInfo, keyLength });
      return undefined;
    },
  };
  await open(made, { keys, recipients: [certificate], trust: [], at: new Date() });
  return asked[0] ?? assert.fail();
}

async function sign(items: readonly Signing[], keyId = alice): Promise<KeyAnswer<'sign'> & { id: string }> {
  const { ticket, envelope, id } = ticketFor(await ingress.ticketSigner());
  const encoded = encodeEnvelope(envelope);
  const answer = await worker.call('sign', { instance: 'w1', keyId, ticket, envelope: encoded, items: [...items] });
  return { ...answer, id };
}

async function openInfos(items: readonly Opening[], to = 'bob@beta.test'): Promise<KeyAnswer<'open-recipient'>> {
  const inbound = { tenant: 'beta', direction: 'inbound', from: '', to: [to] } as const;
  const { ticket, envelope } = ticketFor(await ingress.ticketSigner(), inbound);
  const request = { instance: 'w1', keyId: bob, ticket, envelope: encodeEnvelope(envelope), items: [...items] };
  return await worker.call('open-recipient', request);
}

const isMalformed = (error: unknown): boolean => error instanceof KeyFault && error.code === 'request-malformed';
const isDenied = (error: unknown): boolean => codeOf(error) === 'key-denied';

test('a batch has bounds: its items, their sizes, the length of a content key', async () => {
  assert.equal((await sign(Array.from({ length: 32 }, () => signing))).signatures.length, 32);
  await assert.rejects(sign(Array.from({ length: 33 }, () => signing)), isMalformed);
  await assert.rejects(sign([]), isMalformed);
  await assert.rejects(sign([{ ...signing, signedAttributes: Buffer.alloc(20_000) }]), isMalformed);
  await assert.rejects(sign([{ ...signing, certificate: 'ABC' }]), isMalformed);
  await assert.rejects(openInfos([]), isMalformed);
  await assert.rejects(openInfos(Array.from({ length: 33 }, () => opening)), isMalformed);
  for (const keyLength of [0, 65, 1.5, -1]) await assert.rejects(openInfos([{ ...opening, keyLength }]), isMalformed);
  await assert.rejects(openInfos([{ ...opening, recipientInfo: Buffer.alloc(300_000) }]), isMalformed);
});

test('a batch with one odd item gets nothing; a RecipientInfo that does not open gets null among those that do', async () => {
  await assert.rejects(sign([signing, { ...signing, signedAttributes: Buffer.alloc(32) }]), isDenied);
  const other = { ...opening, recipientInfo: opening.recipientInfo.subarray(0, 20) };
  const { contentKeys } = await openInfos([other, opening, { ...opening, keyLength: 16 }]);
  assert.deepEqual(
    contentKeys.map((key) => key?.length),
    [undefined, 32, 16],
  );
});

test('an RSA key answers a damaged v1.5 ciphertext with a key that opens nothing, the same each time', async () => {
  const certificate = await certificateOf('beta', 'bob@beta.test', bob);
  assert.equal(certificate.publicKey.asymmetricKeyType, 'rsa');
  const damaged = Buffer.from(opening.recipientInfo);
  damaged[damaged.length - 9] = (damaged.at(-9) ?? 0) ^ 1;
  const [first, second] = [await openInfos([damagedItem()]), await openInfos([damagedItem()])];
  assert.deepEqual(first, second);
  assert.notDeepEqual(first.contentKeys, (await openInfos([opening])).contentKeys);

  function damagedItem(): Opening {
    return { ...opening, recipientInfo: damaged };
  }
});

test('every use is on record with its number, before it and after it, refused ones too', async () => {
  const { file } = service.config.keyServer.audit;
  const { id } = await sign([signing, signing]);
  await openInfos([opening]);
  await assert.rejects(openInfos([opening], 'dave@beta.test'), isDenied);
  const { acts } = await findActs(file, { message: id });
  assert.deepEqual(
    acts.map(({ operation, count, result, instance }) => [operation, count, result, instance]),
    [['sign', 2, 'ok', 'w1']],
  );
  assert.match(acts[0]?.key ?? '', /^alpha\/[0-9a-f]{32}\/signing\/1$/);
  const opened = (await findActs(file, { operation: 'open-recipient' })).acts;
  assert.deepEqual(
    opened.slice(-2).map(({ result }) => result),
    ['ok', 'key-denied'],
  );
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.includes(id));
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).kind),
    ['intent', 'outcome'],
  );
});

test('a policy that keeps keys in place is followed from the next message on', async () => {
  const operator = service.call('operator');
  const stage = service.as('crypto-worker', 'w2');
  const { policy } = await operator.call('policy-show', {});
  const justification = ticketFor(await ingress.ticketSigner());
  assert.equal((await stage.lease(alice as KeyId, justification)).keyId, alice);
  const params = { policy: { ...policy, use: { ...policy.use, signing: 'in-place' as const } } };
  const { id } = await operator.call('act-request', { act: 'policy-change', params, reason: 'keys stay here' });
  await operator.call('act-execute', { id });
  await operator.call('lease-revoke', { worker: 'w2' });
  const isInPlace = (error: unknown): boolean => codeOf(error) === 'key-in-place';
  await assert.rejects(service.as('crypto-worker', 'w3').lease(alice as KeyId, justification), isInPlace);
  const item = { ...signing, certificate: signing.certificate as Fingerprint };
  assert.equal((await stage.sign(alice as KeyId, justification, [item])).length, 1);
  assert.ok(
    !(await stage.openRecipients(bob as KeyId, bobsMail(await ingress.ticketSigner()), [opening])).includes(undefined),
  );
  assert.equal((await stage.lease(bob as KeyId, bobsMail(await ingress.ticketSigner()))).keyId, bob);
});

function bobsMail(signer: TicketSigner) {
  return ticketFor(signer, { tenant: 'beta', direction: 'inbound', from: '', to: ['bob@beta.test'] });
}
