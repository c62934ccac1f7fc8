import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { type DeliveryJob, type Envelope, fail, openMessage, ticketBytes, ticketVerifier } from '@sealpost/core';
import { startSmtpSink } from '@sealpost/testkit';
import { maxAgeMs, type Rig, rig, tenant } from './rig.ts';

const hourMs = 3_600_000;

/** Opens a published report as the next egress does. */
async function openReport(
  egress: Rig,
  job: DeliveryJob | undefined,
): Promise<{ envelope: Envelope; message: Buffer; direction: string }> {
  assert.ok(job);
  const { id } = job;
  const verifier = ticketVerifier(await egress.keys.ticketAuthorities(), maxAgeMs);
  const ticket = verifier.verify(ticketBytes(job), { kind: 'delivery', tenant, id }, egress.clock.now());
  assert.equal(ticket.source, 'gateway');
  assert.deepEqual(ticket.acceptedAt, egress.clock.now());
  const sealed = await egress.blobs.get(id);
  assert.ok(sealed);
  const { keyId, direction } = ticket;
  const opened = openMessage(
    sealed,
    { keyId, tenant, id, stage: 'delivery' },
    await egress.keys.spoolPrivateKey(keyId),
  );
  return { ...opened, direction };
}

interface ParsedReport {
  readonly type: string;
  readonly reportType: string;
  readonly parts: readonly string[];
  readonly fields: readonly Record<string, string>[];
  readonly returned: Record<string, string>;
  readonly headers: Record<string, string>;
}

const parser = `
import email, email.policy, json, sys
m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
parts = list(m.iter_parts())
print(json.dumps({
  'type': m.get_content_type(), 'reportType': m.get_param('report-type'), 'parts': [p.get_content_type() for p in parts],
  'fields': [dict(b.items()) for b in parts[1].get_payload()],
  'returned': dict(email.message_from_string(parts[2].get_payload()).items()) if isinstance(parts[2].get_payload(), str) else dict(parts[2].get_payload()[0].items()),
  'headers': dict(m.items())}))`;

/** By Python's email package. */
function parse(message: Buffer): ParsedReport {
  return JSON.parse(execFileSync('python3', ['-c', parser], { input: message, encoding: 'utf8' })) as ParsedReport;
}

test('a failure is reported: every field, outer headers only, null sender, the other direction', async () => {
  await using sink = await startSmtpSink({
    reply: ({ stage, address }) =>
      stage === 'rcpt' && address === 'gone@beta.test' ? '550 5.1.1 SECRET WORDS of the next hop' : undefined,
  });
  await using egress = rig({ routes: [{ nextHop: sink }] });
  const recipients = [
    { address: 'bob@beta.test' },
    { address: 'gone@beta.test', orcpt: 'rfc822;orig+2Binal@beta.test' },
  ];
  await egress.run(await egress.post({ envelope: { recipients, envid: 'ID+2B7', ret: 'FULL' } }));
  assert.equal(egress.published.length, 1);
  const { envelope, message, direction } = await openReport(egress, egress.published[0]);
  assert.equal(direction, 'inbound');
  assert.equal(envelope.mailFrom, '');
  assert.deepEqual(envelope.recipients, [{ address: 'alice@alpha.test', notify: ['NEVER'] }]);
  assert.ok(!message.includes('secret body') && !message.includes('SECRET WORDS'));

  const parsed = parse(message);
  assert.equal(parsed.type, 'multipart/report');
  assert.equal(parsed.reportType, 'delivery-status');
  assert.deepEqual(parsed.parts, ['text/plain', 'message/delivery-status', 'text/rfc822-headers']);
  assert.deepEqual(parsed.fields, [
    {
      'Reporting-MTA': 'dns; gw.test',
      'Original-Envelope-Id': 'ID+7',
      'Arrival-Date': 'Thu, 01 Jan 2026 00:00:00 +0000',
    },
    {
      'Original-Recipient': 'rfc822; orig+inal@beta.test',
      'Final-Recipient': 'rfc822; gone@beta.test',
      Action: 'failed',
      Status: '5.1.1',
      'Diagnostic-Code': 'smtp; 550 5.1.1',
    },
  ]);
  assert.equal(parsed.returned.Subject, 'hello');
  assert.equal(parsed.headers['Auto-Submitted'], 'auto-replied');
  assert.equal(parsed.headers.To, 'alice@alpha.test');
  assert.equal(parsed.headers.From, 'Mail Delivery System <postmaster@gw.test>');
});

test('a report is mail like any other: it goes out by the route of its direction', async () => {
  await using world = await startSmtpSink({ reply: ({ stage }) => (stage === 'rcpt' ? '550 5.1.1 No' : undefined) });
  await using office = await startSmtpSink();
  await using egress = rig({
    routes: [
      { name: 'world', direction: 'outbound', nextHop: world },
      { name: 'office', direction: 'inbound', nextHop: office },
    ],
  });
  await egress.run(await egress.post());
  const [report] = egress.published;
  assert.ok(report);
  assert.equal((await egress.run(report)).kind, 'done');
  assert.equal(office.transactions[0]?.mailFrom, '');
  assert.deepEqual(office.transactions[0]?.recipients, [{ address: 'alice@alpha.test', parameters: ['NOTIFY=NEVER'] }]);
});

test('a report that cannot be delivered is set aside and never reported on; a release tries it again', async () => {
  let refuses = true;
  await using sink = await startSmtpSink({
    reply: ({ stage }) => (stage === 'rcpt' && refuses ? '550 5.1.1 No such user' : undefined),
  });
  await using egress = rig({ routes: [{ nextHop: sink }] });
  const outcome = await egress.run(await egress.post({ envelope: { mailFrom: '' } }));
  assert.ok(outcome.kind === 'quarantine' && outcome.job);
  assert.equal(outcome.code, 'bounce-undeliverable');
  assert.deepEqual(egress.published, []);
  assert.ok(await egress.blobs.get(outcome.job.id));
  refuses = false;
  assert.deepEqual(await egress.run(outcome.job), { kind: 'done' });
});

test('a report to several: who got it does not get it again by the release, who waits is waited for', async () => {
  let isFull = true;
  await using sink = await startSmtpSink({
    reply: ({ stage, address }) => {
      if (stage !== 'rcpt') return undefined;
      if (address === 'no@beta.test') return '550 5.1.1 No';
      return address === 'full@beta.test' && isFull ? '450 4.2.2 Full' : undefined;
    },
  });
  await using egress = rig({ routes: [{ nextHop: sink }] });
  const recipients = ['bob@beta.test', 'no@beta.test', 'full@beta.test'].map((address) => ({ address }));
  const first = await egress.run(await egress.post({ envelope: { mailFrom: '', recipients } }));
  assert.ok(first.kind === 'later');
  assert.deepEqual(
    first.job.settled.map(({ outcome }) => outcome),
    ['delivered', 'quarantined'],
  );
  isFull = false;
  const second = await egress.run(first.job);
  assert.ok(second.kind === 'quarantine');
  assert.deepEqual(
    second.job?.settled.map(({ at }) => at),
    [0, 2],
  );
});

test('mail that was never taken is returned when its time is over', async () => {
  await using sink = await startSmtpSink({
    reply: ({ stage }) => (stage === 'connect' ? '421 4.3.2 Busy' : undefined),
  });
  await using egress = rig({ routes: [{ nextHop: sink }], delayNoticeMs: 0 });
  const acceptedAt = new Date(egress.clock.now().getTime() - maxAgeMs);
  const outcome = await egress.run(await egress.post({ acceptedAt }));
  assert.deepEqual(outcome, { kind: 'done' });
  const { fields } = parse((await openReport(egress, egress.published[0])).message);
  assert.equal(fields[1]?.Action, 'failed');
  assert.equal(fields[1]?.Status, '4.4.7');
  assert.equal(fields[1]?.['Diagnostic-Code'], undefined);
});

test('waiting mail is told about once', async () => {
  await using sink = await startSmtpSink({ reply: ({ stage }) => (stage === 'rcpt' ? '450 4.2.1 Later' : undefined) });
  await using egress = rig({ routes: [{ nextHop: sink }] });
  const recipients = [
    { address: 'bob@beta.test' },
    { address: 'quiet@beta.test', notify: ['FAILURE'] as const },
    { address: 'asked@beta.test', notify: ['DELAY'] as const },
  ];
  const acceptedAt = new Date(egress.clock.now().getTime() - 5 * hourMs);
  const young = await egress.run(await egress.post({ envelope: { recipients } }));
  assert.equal(young.kind, 'later');
  assert.equal(egress.published.length, 0);
  const first = await egress.run(await egress.post({ acceptedAt, envelope: { recipients } }));
  assert.ok(first.kind === 'later');
  const { fields } = parse((await openReport(egress, egress.published[0])).message);
  assert.deepEqual(
    fields.slice(1).map((each) => [each['Final-Recipient'], each.Action, each.Status]),
    [
      ['rfc822; bob@beta.test', 'delayed', '4.2.1'],
      ['rfc822; asked@beta.test', 'delayed', '4.2.1'],
    ],
  );
  await egress.run(first.job);
  assert.equal(egress.published.length, 1);
});

test('NOTIFY decides who is told of what', async () => {
  const cases: [
    readonly ('NEVER' | 'SUCCESS' | 'FAILURE' | 'DELAY')[] | undefined,
    string,
    boolean,
    string | undefined,
  ][] = [
    [undefined, 'no@beta.test', true, 'failed'],
    [['FAILURE'], 'no@beta.test', true, 'failed'],
    [['NEVER'], 'no@beta.test', true, undefined],
    [['SUCCESS'], 'no@beta.test', true, undefined],
    [['SUCCESS'], 'bob@beta.test', true, undefined],
    [['SUCCESS'], 'bob@beta.test', false, 'relayed'],
    [undefined, 'bob@beta.test', false, undefined],
  ];
  for (const [notify, address, knowsDsn, expected] of cases) {
    await using sink = await startSmtpSink({
      extensions: knowsDsn ? ['DSN'] : [],
      reply: (moment) => (moment.stage === 'rcpt' && moment.address === 'no@beta.test' ? '550 5.1.1 No' : undefined),
    });
    await using egress = rig({ routes: [{ nextHop: sink }] });
    const recipient = notify ? { address, notify } : { address };
    assert.equal((await egress.run(await egress.post({ envelope: { recipients: [recipient] } }))).kind, 'done');
    const [job] = egress.published;
    const action = job && parse((await openReport(egress, job)).message).fields[1]?.Action;
    assert.equal(action, expected, `${notify} ${address} ${knowsDsn}`);
  }
});

test('a report that cannot be published leaves its recipients open, and those who got the mail done', async () => {
  await using sink = await startSmtpSink({
    reply: ({ stage, address }) => (stage === 'rcpt' && address === 'no@beta.test' ? '550 5.1.1 No' : undefined),
  });
  let isAway = true;
  const jobs: DeliveryJob[] = [];
  await using egress = rig({
    routes: [{ nextHop: sink }],
    publisher: {
      publish: async (published) => {
        if (isAway) throw fail('queue-unavailable');
        jobs.push(...published);
      },
    },
  });
  const recipients = [{ address: 'bob@beta.test' }, { address: 'no@beta.test' }];
  const first = await egress.run(await egress.post({ envelope: { recipients } }));
  assert.ok(first.kind === 'later');
  assert.equal(first.code, 'queue-unavailable');
  assert.deepEqual(first.job.settled, [{ at: 0, outcome: 'delivered' }]);
  isAway = false;
  assert.deepEqual(await egress.run(first.job), { kind: 'done' });
  assert.equal(jobs.length, 1);
  assert.equal(sink.transactions.length, 1);
});

test('a report that can never be published sets its mail aside; a release sends nothing twice', async () => {
  await using sink = await startSmtpSink({
    reply: ({ stage, address }) => (stage === 'rcpt' && address === 'no@beta.test' ? '550 5.1.1 No' : undefined),
  });
  await using egress = rig({
    routes: [{ nextHop: sink }],
    publisher: {
      publish: async () => {
        throw fail('key-denied');
      },
    },
  });
  const recipients = [{ address: 'bob@beta.test' }, { address: 'no@beta.test' }];
  const outcome = await egress.run(await egress.post({ envelope: { recipients } }));
  assert.ok(outcome.kind === 'quarantine');
  assert.equal(outcome.code, 'key-denied');
  assert.deepEqual(outcome.job?.settled, [{ at: 0, outcome: 'delivered' }]);
});

test('a try that runs again after its report was published does not report again', async () => {
  await using sink = await startSmtpSink({
    reply: ({ stage, address }) => {
      if (stage !== 'rcpt') return undefined;
      return address === 'no@beta.test' ? '550 5.1.1 No' : '450 4.2.2 Full';
    },
  });
  await using egress = rig({ routes: [{ nextHop: sink }] });
  const recipients = [{ address: 'no@beta.test' }, { address: 'full@beta.test' }];
  const job = await egress.post({ envelope: { recipients } });
  assert.equal((await egress.run(job)).kind, 'later');
  assert.equal((await egress.run(job, { diedBefore: 1 })).kind, 'later');
  assert.equal(egress.published.length, 1);
});

test('an internationalised address makes an internationalised report', async () => {
  await using sink = await startSmtpSink({ extensions: ['8BITMIME'] });
  await using egress = rig({ routes: [{ nextHop: sink }] });
  const envelope = {
    smtpUtf8: true,
    mailFrom: '\u00e4nne@alpha.test',
    recipients: [{ address: 'b\u00f6b@beta.test' }],
  };
  await egress.run(await egress.post({ envelope }));
  const report = await openReport(egress, egress.published[0]);
  assert.equal(report.envelope.smtpUtf8, true);
  assert.equal(report.envelope.eightBit, true);
  const text = report.message.toString();
  assert.match(text, /Content-Type: message\/global-delivery-status\r\n/);
  assert.match(text, /Final-Recipient: utf-8; b\u00f6b@beta\.test\r\nAction: failed\r\nStatus: 5\.6\.3\r\n/);
});
