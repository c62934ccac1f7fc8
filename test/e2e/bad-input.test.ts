// Mail that nobody should have sent: what the SMTP dialogue refuses, what ends in quarantine, what goes on unchanged. Each ends as
// docs/message-path.md and docs/errors.md say, and no process falls over it.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { inspect, readHeaders } from '@sealpost/smime';
import { connectSmtp, type SmtpReplies, type SmtpSink, startSmtpSink } from '@sealpost/testkit';
import { compressedBomb, enveloped } from './hostile-cms.ts';
import { type HostPort, startInstallation, type TestInstallation } from './installation.ts';
import { type Aside, type configOf, type Kind, pidsOf, reconfigure, until, watchQuarantine } from './operating.ts';
import { mail, makePartner, type Partner, type Person } from './partner.ts';

const alice = 'alice@alpha.test';
const stranger = 'stranger@nowhere.test';
/** Smallest that a next hop may take; a file of this size is still quick. */
const outboundBytes = 128 * 1024;
const kinds: readonly Kind[] = ['ingress', 'worker', 'egress', 'keyService', 'redis'];

let gateway: TestInstallation;
let inside: SmtpSink;
let outside: SmtpSink;
let partner: Partner;
let bob: Person;
let erin: Person;
let own: Person;
let aside: Aside;
let processes: readonly (readonly number[])[];

before(async () => {
  [inside, outside] = [await startSmtpSink(), await startSmtpSink()];
  gateway = await startInstallation({ internal: inside.port, external: outside.port });
  aside = await watchQuarantine(gateway);
  partner = makePartner('partner');
  [bob, own] = [partner.person('bob@partner.test'), partner.person(alice)];
  erin = partner.person('erin@partner.test', { expired: true });
  await Promise.all([
    gateway.cli('import', '--cert', own.certificate, '--key', own.key),
    gateway.cli('import', '--cert', bob.certificate),
    gateway.cli('import', '--cert', erin.certificate),
    gateway.cli('trust', 'add', partner.ca),
  ]);
  await setPolicy({});
});

after(async () => {
  await aside?.[Symbol.asyncDispose]();
  await gateway?.stop();
  await Promise.all([inside?.close(), outside?.close()]);
  partner?.close();
});

afterEach(() =>
  assert.deepEqual(
    kinds.map((kind) => pidsOf(gateway, kind)),
    processes,
    'no process ended',
  ),
);

type OutboundPolicy = ReturnType<typeof configOf>['tenants'][number]['policy']['outbound'];

/** Small limits at the ingress, and a policy for outbound mail. */
async function setPolicy(outbound: Partial<OutboundPolicy>): Promise<void> {
  const recipients = { check: 'list', list: [alice] } as const;
  await reconfigure(
    gateway,
    ({ ingress, tenants, ...rest }) => ({
      ...rest,
      ingress: {
        ...ingress,
        outbound: { ...ingress.outbound, nextHopBytes: outboundBytes },
        limits: { ...ingress.limits, recipients: 100 },
      },
      tenants: tenants.map(({ policy, ...tenant }) => ({
        ...tenant,
        recipients,
        policy: { ...policy, outbound: { ...policy.outbound, ...outbound } },
      })),
    }),
    'ingress',
    'worker',
  );
  processes = kinds.map((kind) => pidsOf(gateway, kind));
}

interface Sending {
  readonly from?: string;
  readonly to?: readonly string[];
  readonly message?: Buffer | string;
  readonly parameters?: string;
}

async function talk(door: HostPort, sending: Sending): Promise<SmtpReplies> {
  await using client = await connectSmtp(door);
  const hello = await client.greet();
  assert.equal(hello.code, 250, hello.text);
  const { from = alice, to = [stranger], message = mail({ From: alice }, 'x\n'), parameters } = sending;
  return await client.send({ from, to, message, ...(parameters === undefined ? {} : { parameters }) });
}

/** Hands a mail in that has to be taken; its id. */
async function handIn(door: HostPort, sending: Sending): Promise<string> {
  const { message } = await talk(door, sending);
  const id = /queued as (\S+)/.exec(message?.text ?? '')?.[1];
  assert.ok(id, message?.text ?? 'no reply');
  return id;
}

let serial = 0;
/** Hands a mail in and waits for it at the sink. */
async function through(sink: SmtpSink, door: HostPort, sending: Sending): Promise<Buffer> {
  const mailFrom = `sender-${++serial}@${sink === inside ? 'nowhere' : 'alpha'}.test`;
  await handIn(door, { ...sending, from: mailFrom });
  const taken = await until('it is delivered', () => sink.transactions.find((each) => each.mailFrom === mailFrom));
  return taken.message;
}

const outbound = (sending: Sending): Promise<Buffer> => through(outside, gateway.ready.outbound, sending);
const inbound = (sending: Sending): Promise<Buffer> =>
  through(inside, gateway.ready.inbound, { to: [alice], ...sending });

async function setAside(id: string): Promise<string> {
  return (await aside.entry(id)).code;
}

// What the SMTP dialogue refuses.

/** Where it is refused, with which codes, and what was sent. */
type Refusal = readonly [at: 'mail' | 'rcpt' | 'message', reply: string, sending: Sending];

const fields = (...lines: string[]): string => `${[...lines, '', 'x'].join('\r\n')}\r\n`;
const says = (...lines: string[]): Sending => ({ message: fields(...lines) });
const holds = (text: string): Sending => ({ message: `${fields(`From: ${alice}`)}${text}\r\n` });
const tooLong = mail({ From: alice }, 'a line\n'.repeat(outboundBytes / 7));

const refusedOutbound: Record<string, Refusal> = {
  'oversize, announced': ['mail', '552 5.3.4', { parameters: `SIZE=${outboundBytes}` }],
  oversize: ['message', '552 5.3.4', { message: tooLong }],
  'a foreign From': ['message', '550 5.7.1', says('From: boss@bank.test')],
  'two From fields': ['message', '550 5.6.0', says(`From: ${alice}`, 'From: boss@bank.test')],
  'two addresses in From': ['message', '550 5.6.0', says(`From: ${alice}, bob@alpha.test`)],
  'a group in From': ['message', '550 5.6.0', says(`From: us: ${alice}, bob@alpha.test;`)],
  'no From': ['message', '550 5.6.0', says('Subject: x')],
  'a line that is no field': ['message', '550 5.6.0', says(`From: ${alice}`, 'no field')],
  'a bare LF': ['message', '550 5.6.11', holds('a\nb')],
  'a bare CR': ['message', '550 5.6.11', holds('a\rb')],
  'a NUL': ['message', '550 5.6.11', holds('a\0b')],
  'a hundred hops': ['message', '554 5.4.6', says(...Array(100).fill('Received: by x'), `From: ${alice}`)],
};

const refusedInbound: Record<string, Refusal> = {
  'a domain that is not ours': ['rcpt', '550 5.7.1', { to: ['x@nowhere.test'] }],
  'a recipient that does not exist': ['rcpt', '550 5.1.1', { to: ['nobody@alpha.test'] }],
};

for (const [direction, table] of [
  ['outbound', refusedOutbound],
  ['inbound', refusedInbound],
] as const) {
  test(`${direction}: what the SMTP dialogue refuses`, async (t) => {
    for (const [name, [at, expected, sending]] of Object.entries(table)) {
      await t.test(name, async () => {
        const replies = await talk(gateway.ready[direction], sending);
        const reply = at === 'rcpt' ? replies.rcpt.find(({ code }) => code !== 250) : replies[at];
        assert.ok(reply?.text.startsWith(`${expected} `), reply?.text ?? 'no reply');
      });
    }
    assert.deepEqual(
      [...outside.transactions, ...inside.transactions].filter(({ mailFrom }) => mailFrom === alice),
      [],
    );
  });
}

test('the recipients within the limit get the mail, those beyond it are for another transaction', async () => {
  const many = Array.from({ length: 101 }, (_, index) => `r${index}@nowhere.test`);
  const { rcpt, message } = await talk(gateway.ready.outbound, { from: 'many@alpha.test', to: many });
  assert.deepEqual([rcpt.filter(({ code }) => code === 250).length, message?.code], [100, 250]);
  assert.match(rcpt[100]?.text ?? 'no reply', /^452 4\.5\.3 /);
  const taken = await until('it is delivered', () =>
    outside.transactions.find(({ mailFrom }) => mailFrom === 'many@alpha.test'),
  );
  assert.equal(taken.recipients.length, 100);
});

// Broken MIME on its way out.

const mixed = (...lines: string[]): string =>
  [`From: ${alice}`, `To: ${bob.address}`, 'MIME-Version: 1.0', ...lines, ''].join('\r\n');
const nested = (depth: number): string =>
  Array.from({ length: depth }, (_, at) => `Content-Type: multipart/mixed; boundary=b${at}\r\n\r\n--b${at}\r\n`).join(
    '',
  );

test('outbound: broken MIME is set aside and never sent unprotected', async () => {
  const broken: Record<string, string> = {
    'no boundary': mixed('Content-Type: multipart/mixed', '', 'x'),
    'no parts': mixed('Content-Type: multipart/mixed; boundary=b', '', 'x'),
    'two content types': mixed('Content-Type: text/plain', 'Content-Type: text/html', '', '<p>x'),
    'two encodings': mixed('Content-Transfer-Encoding: 7bit', 'Content-Transfer-Encoding: base64', '', 'eA=='),
    'two versions': mixed('MIME-Version: 1.0', '', 'x'),
    'too many parts': mixed('Content-Type: multipart/mixed; boundary=b', '', '--b\r\n\r\n'.repeat(2_100)),
  };
  const ids = await Promise.all(
    Object.values(broken).map((message) => handIn(gateway.ready.outbound, { from: 'broken@alpha.test', message })),
  );
  const codes = await Promise.all(ids.map(setAside));
  assert.deepEqual(
    Object.keys(broken).map((name, index) => [name, codes[index]]),
    Object.keys(broken).map((name) => [name, 'message-malformed']),
  );
  assert.deepEqual(
    outside.transactions.filter(({ mailFrom }) => mailFrom === 'broken@alpha.test'),
    [],
  );
});

test('outbound: odd MIME that everybody reads alike is signed as it is', async () => {
  const odd: Record<string, string> = {
    'never closed': mixed('Content-Type: multipart/mixed; boundary=b', '', '--b', '', 'x'),
    'forty multiparts inside each other': `${mixed(nested(40)).slice(0, -2)}\r\nx\r\n`,
    'base64 that is none': mixed('Content-Type: text/plain', 'Content-Transfer-Encoding: base64', '', '!?*', 'x'),
    'an unknown charset and encoding': mixed(
      'Content-Type: text/x; charset=foo',
      'Content-Transfer-Encoding: x',
      '',
      'x',
    ),
    'no body': mixed('Subject: x'),
  };
  for (const [name, message] of Object.entries(odd)) {
    const taken = await outbound({ to: [stranger], message });
    assert.equal(inspect(taken).protection, 'signed', name);
    assert.match(partner.verify(taken, partner.ca).signers, /email:alice@alpha\.test/, name);
  }
});

// Broken and foreign CMS on its way in.

const result = (message: Buffer): string => {
  const values = readHeaders(message).filter(({ name }) => name === 'x-sealpost-result');
  assert.ok(values.length <= 1);
  return values[0]?.value ?? '';
};

const unfolded = (value: string, item: string): string => new RegExp(`${item}=([^;]+)`).exec(value)?.[1] ?? '';

test('inbound: CMS that cannot be read goes on unchanged, with a result header', async () => {
  const sealed = partner.protect('Content-Type: text/plain\n\nhello\n', { recipients: [own.certificate], headers: '' });
  const object = Buffer.from(sealed.toString().split('\r\n\r\n').slice(1).join(''), 'base64');
  const hostile: Record<string, { message: Buffer; word: string }> = {
    truncated: { message: enveloped(bob.address, alice, object.subarray(0, object.length / 2)), word: 'broken' },
    random: { message: enveloped(bob.address, alice, randomBytes(3_000)), word: 'broken' },
    empty: { message: enveloped(bob.address, alice, Buffer.alloc(0)), word: 'broken' },
    'ten thousand indefinite lengths': {
      message: enveloped(bob.address, alice, Buffer.from('3080'.repeat(10_000), 'hex')),
      word: 'broken',
    },
    'a length of two gigabytes': {
      message: enveloped(bob.address, alice, Buffer.from('30847fffffff3000', 'hex')),
      word: 'broken',
    },
    'a compressed bomb': {
      message: enveloped(bob.address, alice, compressedBomb(), 'compressed-data'),
      word: 'broken',
    },
    'a damaged ciphertext': {
      message: enveloped(bob.address, alice, Buffer.concat([object.subarray(0, -20), randomBytes(20)])),
      word: 'undecryptable',
    },
    'a key for somebody else': {
      message: partner.protect('Content-Type: text/plain\n\nhello\n', {
        recipients: [bob.certificate],
        headers: `From: ${bob.address}\r\nTo: ${alice}\r\n`,
      }),
      word: 'undecryptable',
    },
  };
  for (const [name, { message, word }] of Object.entries(hostile)) {
    const taken = await inbound({ message });
    assert.equal(unfolded(result(taken), 'result'), word, name);
    assert.ok(taken.subarray(-message.length).equals(message), `${name}: unchanged below our lines`);
    assert.match(
      taken.subarray(0, -message.length).toString(),
      /^X-Sealpost-Loop: .*\r\nX-Sealpost-Result: .*(\r\n\t.*)*\r\nReceived: from .*(\r\n[\t ].*)*\r\n$/,
      name,
    );
  }
});

test('inbound: S/MIME objects inside each other without end are not followed', async () => {
  let entity = 'Content-Type: text/plain\n\nhello\n';
  for (let depth = 0; depth < 12; depth++) {
    entity = partner
      .protect(entity, { recipients: [own.certificate], headers: '' })
      .toString()
      .replaceAll('\r\n', '\n');
  }
  const message = Buffer.from(`From: ${bob.address}\r\nTo: ${alice}\r\n${entity.replaceAll('\n', '\r\n')}`);
  const taken = await inbound({ message });
  assert.doesNotMatch(taken.toString(), /hello/);
  assert.match(unfolded(result(taken), 'result'), /^(broken|undecryptable)$/);
});

test('inbound: a signature that proves nothing is reported as such, and the mail goes on unchanged', async () => {
  const other = makePartner('unknown');
  try {
    const mallory = other.person(bob.address);
    const from = (address: string): string => `From: ${address}\r\nTo: ${alice}\r\n`;
    const signed = (signer: Person, headers = from(bob.address)): Buffer =>
      partner.protect('Content-Type: text/plain\n\nhello\n', { signer, headers });
    const tampered = Buffer.from(signed(bob).toString('latin1').replace('hello', 'hullo'), 'latin1');
    const bad: Record<string, { message: Buffer; problem: string }> = {
      'expired certificate': { message: signed(erin, from(erin.address)), problem: 'untrusted' },
      'unknown CA': { message: signed(mallory), problem: 'untrusted' },
      'another From': { message: signed(bob, from('boss@bank.test')), problem: 'from-mismatch' },
      'two From fields': {
        message: signed(bob, `From: boss@bank.test\r\n${from(bob.address)}`),
        problem: 'from-mismatch',
      },
      'changed content': { message: tampered, problem: 'signature-broken' },
    };
    for (const [name, { message, problem }] of Object.entries(bad)) {
      const taken = await inbound({ message });
      assert.equal(unfolded(result(taken), 'result'), 'unverified', name);
      assert.equal(unfolded(result(taken), 'problem'), problem, name);
      assert.ok(taken.subarray(-message.length).equals(message), name);
    }
    const good = await inbound({ message: signed(bob) });
    assert.equal(unfolded(result(good), 'result'), 'verified');
  } finally {
    other.close();
  }
});

// Certificates and policy on the way out.

const toErin = () => mail({ From: alice, To: erin.address, Subject: 'x' }, 'Hello\n');

test('outbound: nothing is encrypted to an expired certificate; policy `plain` sends it signed', async () => {
  const taken = await outbound({ to: [erin.address], message: toErin() });
  assert.equal(inspect(taken).protection, 'signed');
});

test('outbound: policy `bounce` returns what cannot be encrypted; what has no sender waits for a person', async () => {
  await setPolicy({ withoutCertificate: 'bounce' });
  const count = outside.transactions.length;
  await handIn(gateway.ready.outbound, { to: [erin.address, bob.address], message: toErin() });
  const report = await until('the report comes', () => inside.transactions.find(({ mailFrom }) => mailFrom === ''));
  assert.deepEqual(
    report.recipients.map(({ address }) => address),
    [alice],
  );
  const text = report.message.toString();
  assert.match(text, /Content-Type: multipart\/report; report-type=delivery-status/);
  assert.match(text, /Final-Recipient: rfc822; erin@partner\.test\r\nAction: failed\r\nStatus: 5\.7\.5\r\n/);
  assert.doesNotMatch(text, /Hello|bob@partner/);
  const [sent] = await outside.waitFor(count + 1);
  assert.equal(inspect(outside.transactions[count]?.message ?? Buffer.alloc(0)).protection, 'encrypted');
  assert.ok(sent);

  const id = await handIn(gateway.ready.outbound, { from: '', to: [erin.address], message: toErin() });
  assert.equal(await setAside(id), 'unprotected-null-sender');
  assert.equal(outside.transactions.length, count + 1);
});

test('outbound: policy `always` returns mail of a sender who has no key', async () => {
  await setPolicy({ sign: 'always', withoutCertificate: 'plain' });
  const [before, count] = [inside.transactions.length, outside.transactions.length];
  const message = mail({ From: 'keyless@alpha.test', To: bob.address }, 'Hello\n');
  await handIn(gateway.ready.outbound, { from: 'keyless@alpha.test', to: [bob.address], message });
  const report = await until('the report comes', () => inside.transactions[before]);
  assert.match(
    report.message.toString(),
    /Final-Recipient: rfc822; bob@partner\.test\r\nAction: failed\r\nStatus: 5\.7\.0\r\n/,
  );
  assert.equal(outside.transactions.length, count);
});
