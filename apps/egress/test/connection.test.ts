import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf } from '@sealpost/core';
import { makeTlsFiles, type SinkOptions, startFlakyProxy, startSmtpSink, temporaryDirectory } from '@sealpost/testkit';
import { connect, type Peer, type TlsResult } from '../src/connection.ts';
import { type Transaction, transact } from '../src/transaction.ts';

const mail = Buffer.from('Subject: a\r\n\r\n.\r\n..two\r\n.\r\n\r\nlast line\r\n');

function peerAt(server: { host: string; port: number }, more: Partial<Peer> = {}): Peer {
  return { ...server, helloName: 'gateway.test', tls: 'off', connectMs: 5_000, replyMs: 5_000, ...more };
}

function transactionOf(more: Partial<Transaction> = {}): Transaction {
  return {
    mailFrom: 'alice@alpha.test',
    recipients: [{ address: 'bob@beta.test' }],
    eightBit: false,
    smtpUtf8: false,
    utf8Headers: false,
    message: [mail],
    mayHandOver: async () => true,
    ...more,
  };
}

async function sendOnce(
  sink: { host: string; port: number },
  more: Partial<Transaction> = {},
  peer: Partial<Peer> = {},
) {
  const connection = await connect(peerAt(sink, peer));
  try {
    return await transact(connection, transactionOf(more));
  } finally {
    connection.destroy();
  }
}

async function until(isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!isSo() && performance.now() < deadline) await sleep(5);
  assert.ok(isSo());
}

const codesOf = (results: readonly { kind: string; code?: string }[]) => results.map(({ kind, code }) => code ?? kind);

test('bytes arrive as they are: dots, an empty line, parts joined', async () => {
  await using sink = await startSmtpSink();
  const { results } = await sendOnce(sink, { message: [Buffer.from('X-Marker: 1\r\n'), mail] });
  assert.equal(results[0]?.kind, 'delivered');
  assert.deepEqual(sink.transactions[0]?.message, Buffer.concat([Buffer.from('X-Marker: 1\r\n'), mail]));
  assert.equal(sink.transactions[0]?.client, 'gateway.test');
});

test('a large message with dots at every line and at piece ends arrives as it is', async () => {
  await using sink = await startSmtpSink();
  const large = Buffer.from('.a\r\n..\r\n.\r\nbcd\r\n'.repeat(60_000));
  await sendOnce(sink, { message: [large] });
  assert.ok(sink.transactions[0]?.message.equals(large));
});

test('each recipient is settled on its own reply, with its enhanced status', async () => {
  const replies: Record<string, string> = {
    'no@beta.test': '550 5.1.1 No such user',
    'full@beta.test': '452 4.2.2 Full',
    'many@beta.test': '552 Too many recipients',
    'odd@beta.test': '999 what',
    'plain@beta.test': '554 sorry',
  };
  for (const extensions of [['PIPELINING', 'DSN'], ['DSN']]) {
    await using sink = await startSmtpSink({
      extensions,
      reply: ({ stage, address }) => (stage === 'rcpt' ? replies[address ?? ''] : undefined),
    });
    const recipients = ['bob@beta.test', ...Object.keys(replies)].map((address) => ({ address }));
    const { results } = await sendOnce(sink, { recipients });
    assert.deepEqual(codesOf(results), [
      'delivered',
      'next-hop-refused',
      'next-hop-deferred',
      'next-hop-deferred',
      'next-hop-unavailable',
      'next-hop-refused',
    ]);
    assert.deepEqual(
      results.map((result) => ('reply' in result ? result.reply?.status : undefined)),
      ['2.0.0', '5.1.1', '4.2.2', '5.0.0', undefined, '5.0.0'],
    );
    assert.deepEqual(
      sink.transactions[0]?.recipients.map(({ address }) => address),
      ['bob@beta.test'],
    );
  }
});

test('a refusal of the message does not touch a recipient who was deferred', async () => {
  await using sink = await startSmtpSink({
    reply: ({ stage, address }) => {
      if (stage === 'rcpt' && address === 'grey@beta.test') return '451 4.7.1 Greylisted';
      return stage === 'message' ? '554 5.7.1 Spam' : undefined;
    },
  });
  const { results } = await sendOnce(sink, {
    recipients: [{ address: 'bob@beta.test' }, { address: 'grey@beta.test' }],
  });
  assert.deepEqual(codesOf(results), ['next-hop-refused', 'next-hop-deferred']);
});

test('a refused MAIL decides for all, pipelined or not', async () => {
  for (const extensions of [['PIPELINING'], []]) {
    await using sink = await startSmtpSink({
      extensions,
      reply: ({ stage }) => (stage === 'mail' ? '550 5.1.8 No' : undefined),
    });
    assert.deepEqual(codesOf((await sendOnce(sink)).results), ['next-hop-refused']);
  }
});

test('replies at every stage: 4xx defers, 5xx refuses, 421 defers', async () => {
  for (const stage of ['mail', 'rcpt', 'data', 'message'] as const) {
    for (const [reply, expected] of [
      ['451 4.3.0 Later', 'next-hop-deferred'],
      ['550 5.3.0 Never', 'next-hop-refused'],
    ]) {
      await using sink = await startSmtpSink({ reply: (moment) => (moment.stage === stage ? reply : undefined) });
      const { results, doubtful } = await sendOnce(sink);
      assert.deepEqual(codesOf(results), [expected], `${stage} ${reply}`);
      assert.equal(doubtful, false);
    }
    await using sink = await startSmtpSink({
      reply: (moment) => (moment.stage === stage ? '421 4.3.2 Bye' : undefined),
    });
    const { results } = await sendOnce(sink);
    assert.equal(results[0]?.kind, 'deferred', `${stage} 421`);
  }
});

test('a connection lost at any stage defers; only after the last byte there is a doubt', async () => {
  for (const stage of ['mail', 'rcpt', 'data', 'message'] as const) {
    await using sink = await startSmtpSink({ reply: (moment) => (moment.stage === stage ? 'drop' : undefined) });
    const { results, doubtful, untouched } = await sendOnce(sink);
    assert.deepEqual(codesOf(results), ['next-hop-unavailable'], stage);
    assert.equal(doubtful, stage === 'message', stage);
    assert.equal(untouched, stage === 'mail' || stage === 'rcpt', stage);
  }
});

test('a connection cut in the middle of the bytes leaves no doubt', async () => {
  await using sink = await startSmtpSink();
  await using proxy = await startFlakyProxy(sink);
  proxy.cutOnce({ from: 'client', bytes: 'CUT HERE', deliver: false });
  const message = Buffer.concat([Buffer.from('a: b\r\n\r\nCUT HERE\r\n'), Buffer.alloc(8 * 1024 * 1024, 'x\r\n')]);
  const { results, doubtful } = await sendOnce(proxy, { message: [message] });
  assert.deepEqual(codesOf(results), ['next-hop-unavailable']);
  assert.equal(doubtful, false);
  assert.equal(sink.transactions.length, 0);
});

test('the final reply lost after the next hop took the mail is a doubt', async () => {
  await using sink = await startSmtpSink();
  await using proxy = await startFlakyProxy(sink);
  proxy.cutOnce({ from: 'server', bytes: 'Ok: taken', deliver: false });
  const { results, doubtful } = await sendOnce(proxy);
  assert.deepEqual(codesOf(results), ['next-hop-unavailable']);
  assert.equal(doubtful, true);
  assert.equal(sink.transactions.length, 1);
});

test('a job that another process took over is not handed over', async () => {
  await using sink = await startSmtpSink();
  const { results, fenced } = await sendOnce(sink, { mayHandOver: async () => false });
  assert.equal(fenced, true);
  assert.equal(results[0]?.kind, 'deferred');
  await until(() => sink.open === 0);
  assert.equal(sink.transactions.length, 0);
});

test('parameters: SIZE, BODY, SMTPUTF8 and DSN for each recipient, as the next hop knows them', async () => {
  const transaction: Partial<Transaction> = {
    mailFrom: '',
    recipients: [
      { address: 'bob@beta.test', notify: ['SUCCESS', 'FAILURE'], orcpt: 'rfc822;bob+2Bx@beta.test' },
      { address: 'eve@beta.test', notify: ['NEVER'] },
      { address: 'joe@beta.test' },
    ],
    ret: 'HDRS',
    envid: 'QQ+2B1',
    eightBit: true,
    smtpUtf8: true,
    utf8Headers: true,
    message: [Buffer.from('Subject: gr\u00fcn\r\n\r\n')],
  };
  await using sink = await startSmtpSink();
  const { results } = await sendOnce(sink, transaction);
  assert.ok(results.every((result) => result.kind === 'delivered' && !result.relayed));
  const [taken] = sink.transactions;
  assert.equal(taken?.mailFrom, '');
  assert.deepEqual([...(taken?.parameters ?? [])].sort(), [
    'BODY=8BITMIME',
    'ENVID=QQ+2B1',
    'RET=HDRS',
    'SIZE=18',
    'SMTPUTF8',
  ]);
  assert.deepEqual(
    taken?.recipients.map(({ parameters }) => parameters),
    [['NOTIFY=SUCCESS,FAILURE', 'ORCPT=rfc822;bob+2Bx@beta.test'], ['NOTIFY=NEVER'], []],
  );

  await using bare = await startSmtpSink({ extensions: ['SMTPUTF8', '8BITMIME'] });
  const relayed = await sendOnce(bare, transaction);
  assert.ok(relayed.results.every((result) => result.kind === 'delivered' && result.relayed));
  assert.deepEqual([...(bare.transactions[0]?.parameters ?? [])].sort(), ['BODY=8BITMIME', 'SMTPUTF8']);
});

test('a line end in a DSN parameter never becomes a command', async () => {
  await using sink = await startSmtpSink();
  await sendOnce(sink, {
    envid: 'x\r\nRCPT TO:<evil@beta.test>',
    recipients: [{ address: 'bob@beta.test', orcpt: 'rfc822;a\r\nRSET' }],
  });
  assert.deepEqual(sink.transactions[0]?.recipients, [{ address: 'bob@beta.test', parameters: [] }]);
});

test('what the next hop cannot carry is refused before anything is sent', async () => {
  const utf8 = { recipients: [{ address: 'b\u00fcb@beta.test' }] };
  const body = { eightBit: true, message: [Buffer.from('a: b\r\n\r\n\u00fc\r\n')] };
  const cases: [Partial<Transaction>, readonly string[], string][] = [
    [utf8, ['8BITMIME'], 'next-hop-incapable'],
    [{ smtpUtf8: true, utf8Headers: true }, ['8BITMIME'], 'next-hop-incapable'],
    [{ smtpUtf8: true }, ['8BITMIME'], 'delivered'],
    [body, ['SMTPUTF8'], 'next-hop-incapable'],
    [{ ...body, eightBit: false }, [], 'delivered'],
    [{ eightBit: true }, [], 'delivered'],
    [{}, ['SIZE 10'], 'message-too-large'],
    [{}, ['SIZE 0'], 'delivered'],
  ];
  for (const [transaction, extensions, expected] of cases) {
    await using sink = await startSmtpSink({ extensions });
    assert.deepEqual(codesOf((await sendOnce(sink, transaction)).results), [expected]);
  }
});

test('TLS by route: off, opportunistic, required, verified; and what is told of it', async () => {
  await using directory = await temporaryDirectory();
  const good = await makeTlsFiles(directory.path, { prefix: 'good' });
  const other = await makeTlsFiles(directory.path, { prefix: 'other', names: ['elsewhere.test'] });
  const offered = { tls: { cert: good.cert, key: good.key } };
  const old = { ...offered.tls, maxVersion: 'TLSv1.1' };
  const middle = { ...offered.tls, maxVersion: 'TLSv1.2' };
  const modern = 'TLSv1.3';
  const cases: [SinkOptions, Partial<Peer>, string, ...TlsResult[]][] = [
    [offered, { tls: 'off' }, 'plain', 'plain'],
    [offered, { tls: 'opportunistic' }, 'secure', modern],
    [{}, { tls: 'opportunistic' }, 'plain', 'plain'],
    [
      { ...offered, reply: ({ stage }) => (stage === 'starttls' ? '454 4.7.0 Not now' : undefined) },
      { tls: 'opportunistic' },
      'plain',
      'refused',
      'plain',
    ],
    [{ tls: old }, { tls: 'opportunistic' }, 'plain', 'protocol', 'plain'],
    [{ tls: old }, { tls: 'required' }, 'next-hop-tls', 'protocol'],
    [{ tls: middle }, { tls: 'required' }, 'secure', 'TLSv1.2'],
    [offered, { tls: 'required' }, 'secure', modern],
    [{}, { tls: 'required' }, 'next-hop-tls', 'refused'],
    [offered, { tls: 'verified', ca: good.ca }, 'secure', modern],
    [offered, { tls: 'verified', ca: good.ca, serverName: 'localhost' }, 'secure', modern],
    [offered, { tls: 'verified', ca: good.ca, serverName: 'elsewhere.test' }, 'next-hop-tls', 'certificate'],
    [offered, { tls: 'verified', ca: other.ca }, 'next-hop-tls', 'certificate'],
    [{ tls: { cert: other.cert, key: other.key } }, { tls: 'verified', ca: other.ca }, 'next-hop-tls', 'certificate'],
    [{}, { tls: 'verified', ca: good.ca }, 'next-hop-tls', 'refused'],
  ];
  for (const [at, [options, peer, expected, ...told]] of cases.entries()) {
    await using sink = await startSmtpSink(options);
    const results: TlsResult[] = [];
    const outcome = await sendOnce(sink, {}, { ...peer, onTls: (result) => results.push(result) }).then(
      () => (sink.transactions[0]?.isSecure ? 'secure' : 'plain'),
      codeOf,
    );
    assert.deepEqual([outcome, ...results], [expected, ...told], `case ${at}`);
  }
});

test('a next hop that does not greet, refuses, or is not there is unavailable', async () => {
  for (const reply of ['421 4.3.2 Busy', '554 5.3.2 Go away', 'drop', Buffer.from([0, 255, 13, 10]), '999 hello']) {
    await using sink = await startSmtpSink({ reply: ({ stage }) => (stage === 'connect' ? reply : undefined) });
    await assert.rejects(connect(peerAt(sink)), { code: 'next-hop-unavailable' });
  }
  await using silent = await startSmtpSink({ reply: ({ stage }) => (stage === 'ehlo' ? Buffer.alloc(0) : undefined) });
  await assert.rejects(connect(peerAt(silent, { connectMs: 100 })), { code: 'next-hop-unavailable' });
  const gone = await startSmtpSink();
  await gone.close();
  await assert.rejects(connect(peerAt(gone)), { code: 'next-hop-unavailable' });
});

test('a server that only knows HELO gets plain mail', async () => {
  await using sink = await startSmtpSink({ reply: ({ stage }) => (stage === 'ehlo' ? '502 5.5.1 What' : undefined) });
  const { results } = await sendOnce(sink, { eightBit: true, smtpUtf8: true });
  assert.equal(results[0]?.kind, 'delivered');
  assert.deepEqual(sink.transactions[0]?.parameters, []);
});

/** A server that answers the first command after EHLO with whatever it likes. */
async function rudeServer(answer: (socket: Socket) => void) {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.write('220 rude\r\n');
    socket.on('data', (bytes) => {
      if (bytes.toString().startsWith('EHLO')) socket.write('250 rude\r\n');
      else answer(socket);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    host: '127.0.0.1',
    port,
    [Symbol.asyncDispose]: () => new Promise<void>((done) => void server.close(() => done())),
  };
}

test('hostile replies defer and are bounded: endless lines, a line without end, binary', async () => {
  const answers: ((socket: Socket) => void)[] = [
    (socket) => {
      const more = () => !socket.destroyed && socket.write('250-and more\r\n'.repeat(1000), more);
      more();
    },
    (socket) => void socket.write(`250 ${'x'.repeat(1024 * 1024)}`),
    (socket) => void socket.write(Buffer.from(Array.from({ length: 200 }, (_, at) => at + 56))),
    (socket) => void socket.write('2\r\n2\r\n2\r\n'),
    (socket) => void socket.write('-1\r\n'),
  ];
  for (const [at, answer] of answers.entries()) {
    await using server = await rudeServer(answer);
    const { results } = await sendOnce(server, {}, { replyMs: 300 });
    assert.equal(results[0]?.kind, 'deferred', `answer ${at}`);
  }
});

test('a next hop that drips its reply ends at the deadline', async () => {
  await using server = await rudeServer((socket) => {
    const drip = setInterval(() => socket.write('2'), 50);
    socket.once('close', () => clearInterval(drip));
  });
  const started = performance.now();
  const { results } = await sendOnce(server, {}, { replyMs: 200 });
  assert.equal(results[0]?.kind, 'deferred');
  assert.ok(performance.now() - started < 10_000);
});

test('login with AUTH PLAIN over TLS; a refused password is no failure of the mail', async () => {
  await using directory = await temporaryDirectory();
  const { cert, key, ca } = await makeTlsFiles(directory.path);
  const given: (readonly string[])[] = [];
  const outcomes: string[] = [];
  for (const verdict of ['235 2.7.0 Welcome', '535 5.7.8 No', 'drop']) {
    await using sink = await startSmtpSink({
      tls: { cert, key },
      extensions: ['AUTH PLAIN'],
      reply: ({ stage, parameters, isSecure }) => {
        if (stage !== 'auth') return undefined;
        given.push([String(isSecure), ...parameters]);
        return verdict;
      },
    });
    const peer = { tls: 'verified', ca, login: { user: 'u', pass: 'p' } } as const;
    outcomes.push(await sendOnce(sink, {}, peer).then(({ results }) => results[0]?.kind ?? '', codeOf));
  }
  assert.deepEqual(outcomes, ['delivered', 'next-hop-unavailable', 'next-hop-unavailable']);
  assert.deepEqual(given[0], ['true', 'PLAIN', Buffer.from('\0u\0p').toString('base64')]);
});
