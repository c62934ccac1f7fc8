// Somebody can read and write Redis and the blob store, and holds no stage's key. Whatever they do to mail between the stages ends
// in quarantine with an alert; nothing of it is signed or delivered. What they can do is to lose mail, and to send finished mail again.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, type TestContext, test } from 'node:test';
import {
  type CryptoJob,
  type Envelope,
  type ErrorCode,
  encodeEnvelope,
  formatKeyId,
  type KeyId,
  openMessage,
  readFrame,
  SealpostError,
  type StageName,
  ticketBytes,
} from '@sealpost/core';
import { connectKeyService, ephemeralBytes, type KeyCaller, KeyFault, openKeyConnection } from '@sealpost/service';
import { boundaryOf, readEntity, readMultipart, typeOf } from '@sealpost/smime';
import { connectSmtp, type SmtpSink, type SmtpSource, startSmtpSink } from '@sealpost/testkit';
import { type Attacker, attackerOf, forgedTicket, mallory, type StageJob, selfMadeSigner } from './attacker.ts';
import {
  type Attacks,
  attacksOn,
  attacksOnDeliveries,
  attacksOnMessages,
  blobOf,
  idOf,
  type Loot,
  type Waiting,
} from './attacks.ts';
import { startInstallation, type TestInstallation } from './installation.ts';
import { configOf, logged, pause, resume, until } from './operating.ts';
import { mail } from './partner.ts';

const alice = 'alice@alpha.test';
let gateway: TestInstallation;
let inside: SmtpSink;
let outside: SmtpSink;
let attacker: Attacker;
let client: SmtpSource;
let count = 0;

before(async () => {
  [inside, outside] = [await startSmtpSink(), await startSmtpSink()];
  gateway = await startInstallation({ internal: inside.port, external: outside.port });
  await gateway.cli('identity', 'add', alice);
  await gateway.cli('identity', 'add', 'carol@alpha.test');
  attacker = await attackerOf(gateway);
  client = await connectSmtp(gateway.ready.outbound);
  await client.greet();
});

after(async () => {
  client?.end();
  await attacker?.close();
  for (const kind of ['worker', 'egress'] as const) if (gateway) resume(gateway, kind);
  await gateway?.stop();
  await Promise.all([inside?.close(), outside?.close()]);
});

async function accepted(to: string, message: Buffer): Promise<string> {
  const replies = await client.send({ from: alice, to: [to], message });
  const id = /queued as (\S+)/.exec(replies.message?.text ?? '')?.[1];
  assert.ok(id, replies.message?.text ?? 'no reply');
  return id;
}

async function send(): Promise<{ id: string; to: string }> {
  const to = `recipient-${++count}@nowhere.test`;
  return { to, id: await accepted(to, mail({ From: alice, To: to, Subject: `mail ${count}` }, `Text ${count}\n`)) };
}

async function sendTo<S extends StageName>(stage: S): Promise<Waiting<StageJob[S]>> {
  const { id: message, to } = await send();
  const id = idOf[stage](message);
  const job = await until(`${id} waits in ${stage}`, () => attacker.job(stage, id));
  return { id, job, to };
}

/** Not authenticated and no more than a loss: the mail is set aside without an alert. */
const withoutAlert: readonly ErrorCode[] = ['bounce-undeliverable'];

let loot: Loot;

test('what an attacker can copy from Redis: jobs, blobs, a plan, a release', async () => {
  pause(gateway, 'worker');
  pause(gateway, 'egress');
  const { id, to } = await send();
  const job = await until('the job waits', () => attacker.job('crypto', id));
  const crypto = { job, blob: await blobOf(attacker, id) };
  resume(gateway, 'worker');
  const next = await until('the delivery waits', () => attacker.job('delivery', idOf.delivery(id)));
  const delivery = { job: next, blob: await blobOf(attacker, next.id) };
  resume(gateway, 'egress');
  await until('it is delivered', () => deliveredTo(to)[0]);

  const broken = `From: ${alice}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed\r\n\r\nno parts\r\n`;
  const setAside = async (): Promise<string> => {
    const set = await accepted('nobody@nowhere.test', Buffer.from(broken));
    await until('it is set aside', () => attacker.quarantined(set));
    return set;
  };
  const [released, aside] = [await setAside(), await setAside()];
  const [otherPlan, plan] = [await blobOf(attacker, `plan-${released}`), await blobOf(attacker, `plan-${aside}`)];
  pause(gateway, 'worker');
  await gateway.cli('queue', 'release', released);
  const release = await until('a release is seen', async () => (await attacker.job('crypto', released))?.release);
  resume(gateway, 'worker');
  await until('it is gone', () => deliveredTo('nobody@nowhere.test')[0]);
  loot = { crypto, delivery, to, aside, plan, otherPlan, release };
});

function deliveredTo(address: string) {
  return [...outside.transactions, ...inside.transactions].filter(({ recipients }) =>
    recipients.some((recipient) => recipient.address === address),
  );
}

/** Attacks mail that waits while the processes that would take it are held. */
async function assault<S extends StageName>(
  t: TestContext,
  stage: S,
  kind: 'worker' | 'egress',
  attacks: Attacks<StageJob[S]>,
): Promise<void> {
  const before = outside.transactions.length;
  pause(gateway, kind);
  const done: { name: string; code: ErrorCode; ids: readonly string[]; untouched: readonly string[] }[] = [];
  const control = await sendTo(stage);
  for (const [name, { code, run }] of Object.entries(attacks)) {
    const [victim, other] = [await sendTo(stage), await sendTo(stage)];
    const ids = (await run(victim, other)) ?? [victim.id];
    done.push({
      name,
      code,
      ids,
      untouched: [victim, other].filter(({ id }) => !ids.includes(id)).map(({ to }) => to),
    });
  }
  resume(gateway, kind);

  for (const { name, code, ids } of done) {
    await t.test(name, async () => {
      for (const id of ids) {
        const entry = await until(`${id} is set aside`, () => attacker.quarantined(id));
        assert.equal(entry.code, code);
        const alert = logged(gateway).find(
          ({ event, message, delivery }) => event === 'alert.authenticity' && (delivery ?? message) === id,
        );
        assert.equal(alert === undefined, withoutAlert.includes(code), 'alert');
        if (stage === 'crypto') assert.deepEqual(signedAs(id), []);
      }
    });
  }
  // Mail that nobody touched came, once each, and nothing else did.
  const expected = [control.to, ...done.flatMap(({ untouched }) => untouched)].sort();
  const came = () =>
    outside.transactions.slice(before).flatMap(({ recipients }) => recipients.map(({ address }) => address));
  await until('untouched mail is delivered', () => expected.every((to) => came().includes(to)) || undefined);
  assert.deepEqual(came().sort(), expected);
  assert.deepEqual(deliveredTo(mallory), []);
  assert.deepEqual(inside.transactions, []);
}

test('mail that waits for a worker: whatever is done to it ends in quarantine with an alert', (t) =>
  assault(t, 'crypto', 'worker', { ...attacksOn('crypto', attacker, loot), ...attacksOnMessages(attacker, loot) }));

test('mail that waits for the egress: whatever is done to it ends in quarantine with an alert', (t) =>
  assault(t, 'delivery', 'egress', {
    ...attacksOn('delivery', attacker, loot),
    ...attacksOnDeliveries(attacker, loot),
  }));

/** The worker's word about a message that it protected or let pass. */
function signedAs(id: string): string[] {
  return logged(gateway)
    .filter(({ event, message }) => message === id && /^message\.(protected|passed|opened)$/.test(event))
    .map(({ event }) => event);
}

test('quarantined mail put back without a release stays unprotected and undelivered, whatever becomes of its plan', async () => {
  const again = async (prepare: () => Promise<void>): Promise<ErrorCode> => {
    const [before, came] = [await attacker.quarantined(loot.aside), outside.transactions.length];
    await prepare();
    assert.ok(await attacker.requeue(loot.aside));
    const entry = await until('it is set aside again', async () => {
      const found = await attacker.quarantined(loot.aside);
      return found && found.since > (before?.since ?? new Date()) ? found : undefined;
    });
    assert.equal(outside.transactions.length, came);
    assert.deepEqual(signedAs(loot.aside), []);
    return entry.code;
  };
  assert.equal(await again(async () => undefined), 'message-malformed');
  assert.equal(await again(() => attacker.blobs.remove(`plan-${loot.aside}`)), 'message-malformed');
  // The older of two genuine plans of one message is one that a worker made for it.
  assert.equal(await again(() => attacker.blobs.put(`plan-${loot.aside}`, loot.plan)), 'message-malformed');
  assert.equal(await again(() => attacker.blobs.put(`plan-${loot.aside}`, loot.otherPlan)), 'ticket-invalid');
});

test('an operator’s release cannot be led to another message', async () => {
  const broken = `From: ${alice}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed\r\n\r\nmeant\r\n`;
  const meant = await accepted('nobody@nowhere.test', Buffer.from(broken));
  await until('it is set aside', () => attacker.quarantined(meant));
  const [job, other] = [await attacker.job('crypto', meant), await attacker.job('crypto', loot.aside)];
  assert.ok(job && other);
  await attacker.overwrite('crypto', meant, { ...job, ticket: other.ticket });
  const count = outside.transactions.length;
  await assert.rejects(gateway.cli('queue', 'release', meant), /The ticket of a queued message is not genuine/);
  assert.equal(outside.transactions.length, count);
  assert.ok(await attacker.quarantined(meant));
});

test('the limit: what was delivered can be made to go again, the same to the same recipients', async () => {
  const { job, blob } = loot.delivery;
  const [first] = deliveredTo(loot.to);
  assert.ok(first);
  // While the gateway remembers, nothing at all.
  await attacker.blobs.put(job.id, blob);
  await attacker.publish('delivery', job);
  await until('the replay ended', async () => ((await attacker.job('delivery', job.id)) ? undefined : true));
  await attacker.blobs.put(loot.crypto.job.id, loot.crypto.blob);
  await attacker.publish('crypto', loot.crypto.job);
  await until('the replay ended', async () => ((await attacker.job('crypto', loot.crypto.job.id)) ? undefined : true));
  assert.equal(deliveredTo(loot.to).length, 1);

  await attacker.forgetMarks();
  await attacker.blobs.put(job.id, blob);
  await attacker.publish('delivery', job);
  const second = await until('the delivery goes again', () => deliveredTo(loot.to)[1]);
  assert.deepEqual(second.message, first.message);
  assert.deepEqual(second.recipients, first.recipients);

  await attacker.forgetMarks();
  await attacker.blobs.put(loot.crypto.job.id, loot.crypto.blob);
  await attacker.publish('crypto', loot.crypto.job);
  const third = await until('the message goes again', () => deliveredTo(loot.to)[2]);
  assert.deepEqual(third.recipients, first.recipients);
  assert.deepEqual(signedPart(third.message), signedPart(first.message));
});

test('the limit: a writer can lose mail', async () => {
  pause(gateway, 'worker');
  const marked = await sendTo('crypto');
  await attacker.mark(`published-${marked.id}`);
  pause(gateway, 'egress');
  resume(gateway, 'worker');
  const settled = await sendTo('delivery');
  await attacker.overwrite('delivery', settled.id, { ...settled.job, settled: [{ at: 0, outcome: 'delivered' }] });
  resume(gateway, 'egress');
  const { to } = await send();
  await until('mail after it is delivered', () => deliveredTo(to)[0]);
  for (const victim of [marked, settled]) {
    await until('its blob is gone', async () => ((await attacker.blobs.get(victim.id)) ? undefined : true));
    assert.deepEqual(deliveredTo(victim.to), []);
    assert.equal(await attacker.quarantined(victim.id), undefined);
  }
});

test('a worker’s stolen credential gets no key that its tickets do not justify, and every try is on record', async () => {
  pause(gateway, 'worker');
  const outbound = await sendTo('crypto');
  const inboundClient = await connectSmtp(gateway.ready.inbound);
  await inboundClient.greet();
  const message = mail({ From: 'bob@partner.test', To: alice }, 'Hello\n');
  const reply = await inboundClient.send({ from: 'bob@partner.test', to: [alice], message });
  const inboundId = /queued as (\S+)/.exec(reply.message?.text ?? '')?.[1] ?? '';
  const inbound = { id: inboundId, job: await until('it waits', () => attacker.job('crypto', inboundId)) };
  inboundClient.end();

  const { keyService } = configOf(gateway);
  const worker = connectKeyService(keyService, 'crypto-worker', 'stolen');
  const opened = async ({ id, job }: { id: string; job: CryptoJob }) => {
    const keyId = readFrame(ticketBytes(job), 13).fields[9]?.toString() as KeyId;
    const context = { keyId, tenant: job.tenant, id, stage: 'crypto' } as const;
    return openMessage(await blobOf(attacker, id), context, await worker.spoolPrivateKey(keyId)).envelope;
  };
  const [fromAlice, toAlice] = [await opened(outbound), await opened(inbound)];
  // The hash in a ticket must not confirm whom somebody guesses.
  assert.ok(Buffer.from(fromAlice.salt, 'base64url').length >= 16);
  assert.notEqual(fromAlice.salt, toAlice.salt);

  const ask = async (
    identity: string,
    use: 'signing' | 'decryption',
    ticket: string,
    envelope: Envelope,
    caller: KeyCaller = 'crypto-worker',
  ): Promise<string> => {
    const connection = openKeyConnection(keyService, caller);
    const { publicKey } = generateKeyPairSync('x25519');
    const keyId = formatKeyId({ tenant: outbound.job.tenant, identity, use, version: 1 });
    const [bytes, encoded] = [Buffer.from(ticket, 'base64url'), encodeEnvelope(envelope)];
    const request = {
      instance: 'stolen',
      keyId,
      ephemeral: ephemeralBytes(publicKey),
      ticket: bytes,
      envelope: encoded,
    };
    try {
      await connection.call('lease', request);
      return 'leased';
    } catch (error) {
      return error instanceof KeyFault || error instanceof SealpostError ? error.code : String(error);
    } finally {
      connection.close();
    }
  };
  const denials = (): number => auditOf('lease').filter(({ result }) => result !== 'ok' && result !== undefined).length;
  const before = denials();
  const [out, into] = [outbound.job.ticket, inbound.job.ticket];
  assert.equal(await ask(alice, 'signing', out, fromAlice), 'leased');
  assert.equal(await ask(alice, 'decryption', into, toAlice), 'leased');
  assert.equal(await ask('carol@alpha.test', 'signing', out, fromAlice), 'key-denied');
  assert.equal(await ask(alice, 'decryption', out, fromAlice), 'key-denied');
  assert.equal(await ask('carol@alpha.test', 'decryption', into, toAlice), 'key-denied');
  assert.equal(await ask(alice, 'signing', into, toAlice), 'key-denied');
  const fromCarol = { ...fromAlice, headerFrom: 'carol@alpha.test' };
  assert.equal(await ask('carol@alpha.test', 'signing', out, fromCarol), 'envelope-mismatch');
  const forged = await attacker.sealed('crypto', outbound.id);
  const selfMade = forgedTicket(forged.ticket, selfMadeSigner('ingress'));
  assert.equal(await ask(alice, 'signing', selfMade, fromAlice), 'ticket-invalid');
  assert.equal(await ask(alice, 'signing', loot.delivery.job.ticket, fromAlice), 'ticket-invalid');
  assert.equal(denials() - before, 7);
  for (const caller of ['ingress', 'egress', 'operator'] as const)
    assert.equal(await ask(alice, 'signing', out, fromAlice, caller), 'forbidden');

  const delivery = formatKeyId({ tenant: outbound.job.tenant, identity: 'stage.delivery', use: 'spool', version: 1 });
  await assert.rejects(worker.spoolPrivateKey(delivery), { code: 'key-denied' });
  await worker.close();
  const refused = auditOf('spool-private-key').filter(({ result }) => result === 'key-denied');
  assert.equal(refused.length, 1);
  resume(gateway, 'worker');
  await until('the mail itself goes on', () => deliveredTo(outbound.to)[0]);
});

interface AuditRecord {
  readonly operation: string;
  readonly kind: string;
  readonly result?: string;
}

function auditOf(operation: string): AuditRecord[] {
  const lines = readFileSync(configOf(gateway).keyServer.audit.file, 'utf8').trimEnd().split('\n');
  return lines
    .map((line): AuditRecord => JSON.parse(line))
    .filter((record) => record.operation === operation && record.kind === 'outcome');
}

function signedPart(message: Buffer): Buffer {
  const { fields, body } = readEntity(message);
  const [part] = readMultipart(body, boundaryOf(typeOf(fields)) ?? '').parts;
  assert.ok(part);
  return part;
}
