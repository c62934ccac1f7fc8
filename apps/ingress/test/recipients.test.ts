// Inbound recipients are known before their mail is taken: by list, by asking the next hop once, or by domain.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { manualClock, startSmtpSink } from '@sealpost/testkit';
import { probe } from '../src/probe.ts';
import { probeCache } from '../src/recipients.ts';
import { idIn, mail, memoryQueue, startGateway } from './gateway.ts';

const sink = await startSmtpSink({
  reply: ({ stage, address }) => {
    if (stage !== 'rcpt') return undefined;
    if (address === 'bob@beta.test') return undefined;
    if (address === 'later@beta.test') return '450 4.2.1 Busy';
    if (address === 'policy@beta.test') return '550 5.7.1 We do not know you';
    return '550 5.1.1 No such user';
  },
});
after(() => sink[Symbol.asyncDispose]());

const queue = memoryQueue();
const gateway = await startGateway({
  backing: queue,
  tenants: [
    { id: 'alpha', domains: ['alpha.test'], recipients: { check: 'list', list: ['Alice@alpha.test'] } },
    { id: 'beta', domains: ['beta.test'], recipients: { check: 'probe', probe: { host: sink.host, port: sink.port } } },
    { id: 'gamma', domains: ['gamma.test', 'xn--bcher-kva.test'] },
    { id: 'delta', domains: ['delta.test'], recipients: { check: 'probe', probe: { host: '127.0.0.1', port: 1 } } },
  ],
});
after(() => gateway[Symbol.asyncDispose]());

async function rcpt(...addresses: string[]): Promise<string[]> {
  await using client = await gateway.inbound();
  await client.greet();
  await client.command('MAIL FROM:<x@world.test> SMTPUTF8');
  const replies = [];
  for (const address of addresses) replies.push((await client.command(`RCPT TO:<${address}>`)).text.slice(0, 9));
  return replies;
}

test('a list knows whom it lists, in any case', async () => {
  assert.deepEqual(await rcpt('alice@alpha.test', 'ALICE@Alpha.Test', 'eve@alpha.test'), [
    '250 2.1.5',
    '250 2.1.5',
    '550 5.1.1',
  ]);
});

test('a domain alone takes everybody in it, however it is written', async () => {
  assert.deepEqual(await rcpt('anybody@gamma.test', 'x@bücher.test', 'x@xn--bcher-kva.test', 'x@BÜCHER.test'), [
    '250 2.1.5',
    '250 2.1.5',
    '250 2.1.5',
    '250 2.1.5',
  ]);
});

test('the next hop is asked once, and only a refusal of the recipient is final', async () => {
  const before = sink.sessions;
  assert.deepEqual(await rcpt('bob@beta.test', 'nobody@beta.test', 'later@beta.test', 'policy@beta.test'), [
    '250 2.1.5',
    '550 5.1.1',
    '450 4.1.1',
    '450 4.1.1',
  ]);
  assert.equal(sink.sessions - before, 4);
  assert.deepEqual(await rcpt('Bob@Beta.test', 'nobody@beta.test', 'later@beta.test'), [
    '250 2.1.5',
    '550 5.1.1',
    '450 4.1.1',
  ]);
  assert.equal(sink.sessions - before, 4);
  assert.deepEqual(sink.transactions, []);
});

test('a next hop that is away is 450, and the process goes on', async () => {
  assert.deepEqual(await rcpt('dave@delta.test'), ['450 4.1.1']);
  await using client = await gateway.inbound();
  await client.greet();
  idIn((await client.send({ from: '', to: ['bob@beta.test'], message: mail() })).message);
});

test('a probe reads any next hop, however it behaves', async () => {
  const ask = async (options: Parameters<typeof startSmtpSink>[0]) => {
    await using hop = await startSmtpSink(options);
    return await probe({ host: hop.host, port: hop.port }, 'bob@beta.test', 'gateway.test');
  };
  const at = (stage: string, reply: string) => ({
    reply: (moment: { stage: string }) => (moment.stage === stage ? reply : undefined),
  });
  assert.equal(await ask({}), 'known');
  assert.equal(await ask(at('connect', '554 5.3.2 Go away')), 'unclear');
  assert.equal(await ask(at('ehlo', '502 5.5.1 What?')), 'unclear');
  assert.equal(await ask(at('mail', '550 5.1.1 No null sender here')), 'unclear');
  assert.equal(await ask(at('rcpt', 'drop')), 'unclear');
  assert.equal(await ask(at('rcpt', '550 no enhanced status')), 'unknown');
  assert.equal(await ask(at('rcpt', '550-5.1.1 many\r\n550-5.1.1 lines\r\n550 5.1.1 here')), 'unknown');
  assert.equal(await ask(at('rcpt', `250-${'x'.repeat(20_000)}\r\n250 ok`)), 'unclear');
  assert.equal(await ask(at('rcpt', '250 2.1.5 ok')), 'known');
});

test('verdicts live as long as they should, and the same question is not asked twice at once', async () => {
  const clock = manualClock();
  const asked: string[] = [];
  let verdict: 'known' | 'unknown' | 'unclear' = 'known';
  const ask = probeCache(async (_, address) => {
    asked.push(address);
    return verdict;
  }, clock);
  const target = { host: 'hop.test', port: 25 };
  assert.deepEqual(await Promise.all([ask(target, 'a@x.test'), ask(target, 'A@x.test')]), ['known', 'known']);
  assert.equal(asked.length, 1);
  clock.advance(59 * 60_000);
  verdict = 'unknown';
  assert.equal(await ask(target, 'a@x.test'), 'known');
  clock.advance(60_000);
  assert.equal(await ask(target, 'a@x.test'), 'unknown');
  clock.advance(4 * 60_000);
  verdict = 'unclear';
  assert.equal(await ask(target, 'a@x.test'), 'unknown');
  clock.advance(60_000);
  assert.equal(await ask(target, 'a@x.test'), 'unclear');
  assert.equal(asked.length, 3);
  verdict = 'known';
  clock.advance(5_000);
  assert.equal(await ask(target, 'a@x.test'), 'known');
});

test('the cache and the questions under way are bounded, and made-up addresses do not push out real ones', async () => {
  const clock = manualClock();
  let asked = 0;
  const ask = probeCache(async (_, address) => {
    asked++;
    return address.startsWith('real') ? 'known' : 'unknown';
  }, clock);
  const target = { host: 'hop.test', port: 25 };
  await ask(target, 'real@x.test');
  for (let at = 0; at < 20_100; at++) await ask(target, `made-up-${at}@x.test`);
  asked = 0;
  await ask(target, 'real@x.test');
  await ask(target, 'made-up-20099@x.test');
  assert.equal(asked, 0);
  await ask(target, 'made-up-0@x.test');
  assert.equal(asked, 1);
  const { promise: never } = Promise.withResolvers<'known'>();
  const stuck = probeCache(() => never, clock);
  for (let at = 0; at < 20; at++) void stuck(target, `${at}@x.test`);
  assert.equal(await stuck(target, 'one-more@x.test'), 'unclear');
});
