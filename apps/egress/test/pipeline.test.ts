import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, loopField } from '@sealpost/core';
import { startSmtpSink } from '@sealpost/testkit';
import { mail, rig, strangeId } from './rig.ts';

const marker = /^X-Sealpost-Loop: v1; [0-9a-f]{64}\r\n/;

test('a delivery goes out as it is, with our marker above it, and leaves nothing behind', async () => {
  await using sink = await startSmtpSink();
  await using egress = rig({ routes: [{ nextHop: sink }] });
  const job = await egress.post();
  assert.deepEqual(await egress.run(job), { kind: 'done' });
  const [taken] = sink.transactions;
  assert.equal(taken?.mailFrom, 'alice@alpha.test');
  assert.match(taken?.message.toString() ?? '', marker);
  assert.deepEqual(Buffer.from(taken?.message.toString().replace(marker, '') ?? ''), mail);
  assert.equal(await egress.blobs.get(job.id), undefined);
  assert.deepEqual(egress.published, []);
  assert.deepEqual(
    egress.events.map(({ name }) => name),
    ['delivery.delivered'],
  );
});

test('recipients end on their own: one delivered, one refused and told about, one later and then delivered', async () => {
  let isFull = true;
  await using sink = await startSmtpSink({
    reply: ({ stage, address }) => {
      if (stage !== 'rcpt') return undefined;
      if (address === 'gone@beta.test') return '550 5.1.1 No such user here';
      return address === 'full@beta.test' && isFull ? '452 4.2.2 Full' : undefined;
    },
  });
  await using egress = rig({ routes: [{ nextHop: sink }] });
  const addresses = ['bob@beta.test', 'gone@beta.test', 'full@beta.test'];
  const job = await egress.post({ envelope: { recipients: addresses.map((address) => ({ address })) } });
  const first = await egress.run(job);
  assert.ok(first.kind === 'later');
  assert.equal(first.code, 'next-hop-deferred');
  assert.equal(first.job.attempts, 1);
  assert.deepEqual(first.job.settled, [
    { at: 0, outcome: 'delivered' },
    { at: 1, outcome: 'bounced' },
  ]);
  assert.equal(egress.published.length, 1);
  const bounces = (code: string) => egress.counts.get(`sealpost_bounces_total{"stage":"delivery","code":"${code}"}`);
  assert.deepEqual([bounces('next-hop-refused'), bounces('next-hop-deferred')], [1, undefined]);
  const waits = () => egress.waiting.byDomain(egress.clock.now(), 1).map(({ name, recipients }) => [name, recipients]);
  assert.deepEqual(waits(), [['beta.test', 1]]);
  isFull = false;
  assert.deepEqual(await egress.run(first.job), { kind: 'done' });
  assert.deepEqual(waits(), []);
  assert.deepEqual(
    sink.transactions.map(({ recipients }) => recipients.map(({ address }) => address)),
    [['bob@beta.test'], ['full@beta.test']],
  );
  assert.equal(egress.published.length, 1);
});

test('routes: first fit by direction and domain; without one the mail waits and is returned in the end', async () => {
  await using inside = await startSmtpSink();
  await using special = await startSmtpSink();
  await using egress = rig({
    routes: [
      { name: 'special', direction: 'outbound', domains: ['special.test'], nextHop: special },
      { name: 'inside', direction: 'inbound', nextHop: inside },
    ],
  });
  assert.equal((await egress.run(await egress.post({ direction: 'inbound' }))).kind, 'done');
  const recipients = [{ address: 'a@Special.test' }, { address: 'b@elsewhere.test' }];
  const mixed = await egress.run(await egress.post({ envelope: { recipients } }));
  assert.ok(mixed.kind === 'later');
  assert.equal(mixed.code, 'route-missing');
  assert.deepEqual(mixed.job.settled, [{ at: 0, outcome: 'delivered' }]);
  assert.equal(special.transactions.length, 1);
  assert.equal(inside.transactions.length, 1);
  const { outcome } = await egress.runToEnd(mixed.job);
  assert.equal(outcome.kind, 'done');
  assert.equal(egress.published.at(-1)?.tenant, 'alpha');
});

test('backoff grows with the attempts up to its bound, ends at the age, and the last try is at the end', async () => {
  await using sink = await startSmtpSink({ reply: ({ stage }) => (stage === 'rcpt' ? '450 4.2.0 Later' : undefined) });
  await using egress = rig({ routes: [{ nextHop: sink }] });
  const start = egress.clock.now().getTime();
  let job = await egress.post();
  const waits: number[] = [];
  for (;;) {
    const outcome = await egress.run(job);
    if (outcome.kind !== 'later') break;
    waits.push((outcome.at.getTime() - egress.clock.now().getTime()) / 1000);
    egress.clock.set(outcome.at);
    job = outcome.job;
  }
  assert.deepEqual(waits.slice(0, 12), [0.75, 1.5, 3, 6, 12, 24, 48, 96, 192, 384, 675, 675]);
  assert.equal(egress.clock.now().getTime() - start, 120 * 3_600_000);
  assert.ok(job.attempts > 500);
});

test('mail loops by hops or by our own marker go back; a marker of others stops nothing', async () => {
  await using sink = await startSmtpSink();
  await using egress = rig({ routes: [{ nextHop: sink }] });
  const hops = (count: number) =>
    Buffer.concat([Buffer.from('Received: by x\r\n'.repeat(count)), mail.subarray(mail.indexOf('From:'))]);
  assert.equal((await egress.run(await egress.post({ message: hops(100) }))).kind, 'done');
  assert.equal(sink.transactions.length, 1);
  assert.equal((await egress.run(await egress.post({ message: hops(101) }))).kind, 'done');
  assert.equal(sink.transactions.length, 1);
  assert.equal(egress.published.length, 1);

  await egress.run(await egress.post());
  const marked = sink.transactions[1]?.message ?? Buffer.alloc(0);
  await egress.run(await egress.post({ message: marked }));
  assert.equal(sink.transactions.length, 2);
  assert.equal(egress.published.length, 2);

  const field = marked.subarray(0, marked.indexOf('\r\n') + 2).toString();
  const forgeries: [string, Buffer, 'outbound' | 'inbound'][] = [
    ['the other direction', marked, 'inbound'],
    ['another mail', Buffer.from(`${field}Message-ID: <2@alpha.test>\r\n\r\n`), 'outbound'],
    ['made up', Buffer.from(`${loopField}: v1; ${'0'.repeat(64)}\r\n${mail}`), 'outbound'],
    ['in the body', Buffer.from(`${mail}${field}`), 'outbound'],
  ];
  for (const [at, [name, message, direction]] of forgeries.entries()) {
    await egress.run(await egress.post({ message, direction }));
    assert.equal(sink.transactions.length, at + 3, name);
  }
});

test('what is not genuine is never sent', async () => {
  await using sink = await startSmtpSink();
  await using egress = rig({ routes: [{ nextHop: sink }] });
  const other = await egress.post({ envelope: { recipients: [{ address: 'eve@evil.test' }] } });
  const codes: string[] = [];
  const attempt = async (
    change: (job: Awaited<ReturnType<typeof egress.post>>) => Promise<unknown> | unknown,
    ticket = {},
  ) => {
    const job = await egress.post({ ticket });
    codes.push(await egress.run({ ...job, ...((await change(job)) as object) }).then(() => 'sent', codeOf));
  };
  await attempt(() => ({ ticket: other.ticket }));
  await attempt(() => ({ tenant: 'beta' }));
  await attempt((job) => ({ ticket: `${job.ticket.slice(0, -4)}AAAA` }));
  await attempt(async (job) => egress.blobs.put(job.id, (await egress.blobs.get(other.id)) ?? Buffer.alloc(0)));
  await attempt((job) => egress.blobs.remove(job.id));
  await attempt(() => ({ id: strangeId(egress.clock) }));
  await attempt(() => ({}), { kind: 'crypto' });
  await attempt(() => ({}), { envelopeHash: Buffer.alloc(32) });
  await attempt(() => ({}), { acceptedAt: new Date(egress.clock.now().getTime() - 300 * 3_600_000) });
  assert.deepEqual(codes, [
    'ticket-invalid',
    'ticket-invalid',
    'ticket-invalid',
    'blob-mismatch',
    'blob-missing',
    'ticket-invalid',
    'ticket-invalid',
    'envelope-mismatch',
    'ticket-expired',
  ]);
  assert.equal(sink.transactions.length, 0);
});

test('a ticket by another installation, or by a stage that may not sign deliveries, moves nothing', async () => {
  await using sink = await startSmtpSink();
  await using egress = rig({ routes: [{ nextHop: sink }] });
  await using strange = rig({ routes: [{ nextHop: sink }] });
  const job = await egress.post();
  await assert.rejects(egress.run({ ...job, ticket: (await strange.post()).ticket }), { code: 'ticket-invalid' });
  const byIngress = await egress.post({ signer: 'ingress' });
  await assert.rejects(egress.run(byIngress), { code: 'ticket-invalid' });
  assert.equal(sink.transactions.length, 0);
});

test('a delivery that is finished is not sent again, with its blob or without', async () => {
  await using sink = await startSmtpSink();
  await using egress = rig({ routes: [{ nextHop: sink }] });
  const job = await egress.post();
  const sealed = await egress.blobs.get(job.id);
  await egress.run(job);
  assert.deepEqual(await egress.run(job, { diedBefore: 1 }), { kind: 'done' });
  await egress.blobs.put(job.id, sealed ?? mail);
  assert.deepEqual(await egress.run(job), { kind: 'done' });
  assert.equal(await egress.blobs.get(job.id), undefined);
  assert.equal(sink.transactions.length, 1);
});

test('a possible duplicate is counted: a lost final reply, a process that died', async () => {
  const metric = 'sealpost_possible_duplicates_total{"route":"all"}';
  let isLost = true;
  await using sink = await startSmtpSink({
    reply: ({ stage }) => (stage === 'message' && isLost ? 'drop' : undefined),
  });
  await using egress = rig({ routes: [{ nextHop: sink }] });
  const first = await egress.run(await egress.post());
  assert.ok(first.kind === 'later');
  assert.equal(egress.counts.get(metric), 1);
  isLost = false;
  await egress.run(first.job);
  assert.equal(egress.counts.get(metric), 1);
  await egress.run(await egress.post(), { diedBefore: 1 });
  assert.equal(egress.counts.get(metric), 2);
});

test('a job that another process took over is neither sent nor settled', async () => {
  await using sink = await startSmtpSink();
  await using egress = rig({ routes: [{ nextHop: sink }] });
  const job = await egress.post();
  const outcome = await egress.run(job, { isHeld: async () => false });
  assert.ok(outcome.kind === 'later');
  assert.deepEqual(outcome.job, job);
  assert.equal(sink.transactions.length, 0);
});

test('when the job is lost half-way, those who got the mail are remembered and nobody else is settled', async () => {
  await using sink = await startSmtpSink();
  await using refusing = await startSmtpSink({ reply: ({ stage }) => (stage === 'rcpt' ? '550 5.1.1 No' : undefined) });
  await using late = await startSmtpSink({ reply: async ({ stage }) => (stage === 'ehlo' ? sleep(50) : undefined) });
  await using egress = rig({
    routes: [
      { name: 'late', domains: ['late.test'], nextHop: late },
      { name: 'refusing', domains: ['no.test'], nextHop: refusing },
      { name: 'rest', nextHop: sink },
    ],
  });
  const recipients = ['bob@beta.test', 'a@late.test', 'a@no.test'].map((address) => ({ address }));
  const job = await egress.post({ envelope: { recipients } });
  const outcome = await egress.run(job, { isHeld: async () => sink.transactions.length === 0 });
  assert.ok(outcome.kind === 'later');
  assert.deepEqual(outcome.job.settled, [{ at: 0, outcome: 'delivered' }]);
  assert.equal(late.transactions.length, 0);
  assert.deepEqual(egress.published, []);
});

test('many recipients go in several transactions', async () => {
  await using sink = await startSmtpSink();
  await using egress = rig({ routes: [{ nextHop: sink, recipientsPerTransaction: 10 }] });
  const recipients = Array.from({ length: 25 }, (_, at) => ({ address: `r${at}@beta.test` }));
  assert.equal((await egress.run(await egress.post({ envelope: { recipients } }))).kind, 'done');
  assert.deepEqual(
    sink.transactions.flatMap((taken) => taken.recipients.map(({ address }) => address)).sort(),
    recipients.map(({ address }) => address).sort(),
  );
  assert.equal(sink.transactions.length, 3);
});
