// The log: events of the closed list, trace ids, addresses as a keyed hash, and nothing that an upstream's words could carry in.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type EventFields, fail, SetupError, type TraceContext } from '@sealpost/core';
import { temporaryDirectory } from '@sealpost/testkit';
import { type LogConfig, startLog } from '../src/index.ts';

const address = 'Alice.Secret@Alpha.test';
const trace: TraceContext = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };

function logTo(changes: Partial<LogConfig> = {}, current: () => TraceContext | undefined = () => undefined) {
  const lines: string[] = [];
  const config: LogConfig = { level: 'debug', addresses: false, ...changes };
  const destination = { write: (line: string) => void lines.push(line) };
  const log = startLog({ config, role: 'egress', instance: 'i-1', current, destination });
  return { log, lines, last: (): Record<string, unknown> => JSON.parse(lines.at(-1) ?? '{}') };
}

test('a line is JSON with time, level, role, instance, event and fields', () => {
  const { log, last } = logTo();
  log.event('message.bounced', { tenant: 'alpha', code: 'mail-loop', count: 2 });
  const { time, ...rest } = last();
  assert.match(String(time), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.deepEqual(rest, {
    level: 'info',
    role: 'egress',
    instance: 'i-1',
    event: 'message.bounced',
    tenant: 'alpha',
    code: 'mail-loop',
    count: 2,
  });
});

test('the running span is in the line', () => {
  const { log, last } = logTo({}, () => trace);
  log.event('message.accepted');
  assert.equal(last().trace, '0af7651916cd43dd8448eb211c80319c');
  assert.equal(last().span, 'b7ad6b7169203331');
});

test('an address is a keyed hash, the same for the same mailbox and the same key', async () => {
  await using directory = await temporaryDirectory();
  const hashKeyFile = join(directory.path, 'key');
  const key = 'k'.repeat(40);
  await writeFile(hashKeyFile, `${key}\n`);
  const { log, lines, last } = logTo({ hashKeyFile });
  log.event('message.accepted', { address });
  assert.equal(last().address, createHmac('sha256', key).update('alice.secret@alpha.test').digest('hex').slice(0, 32));
  assert.doesNotMatch(lines.join(''), /alice/i);
});

test('without a key file two processes hash differently', () => {
  const hashes = [logTo(), logTo()].map(({ log, last }) => {
    log.event('message.accepted', { address });
    return last().address;
  });
  assert.notEqual(hashes[0], hashes[1]);
});

test('the operator can turn addresses on', () => {
  const { log, last } = logTo({ addresses: true });
  log.event('message.accepted', { address });
  assert.equal(last().address, address);
});

test('a hash key that is too short is refused at the start', async () => {
  await using directory = await temporaryDirectory();
  const hashKeyFile = join(directory.path, 'key');
  await writeFile(hashKeyFile, 'short');
  assert.throws(() => logTo({ hashKeyFile }), SetupError);
});

test('of a foreign error only class, code and places are logged, through all causes', () => {
  const { log, lines, last } = logTo();
  const inner = Object.assign(new Error(`550 <${address}> unknown\n    at ${address} (x.js:1:1)`), {
    code: 'EENVELOPE',
    response: address,
  });
  const outer = Object.assign(new Error(`Cannot deliver ${address}`, { cause: inner }), { code: `bad ${address}` });
  log.event('process.failed', { error: outer });
  assert.doesNotMatch(lines.join(''), /alice|alpha\.test|550/i);
  inner.message = 'changed';
  log.event('process.failed', { error: inner });
  assert.doesNotMatch(lines.join(''), /alice/i);
  log.event('process.failed', { error: outer });
  const { error } = last() as { error: { stack: string[]; cause: { code: string } } };
  assert.equal(error.cause.code, 'EENVELOPE');
  assert.match(error.stack[0] ?? '', /log\.test\.ts/);
});

test('our own messages are constants or about the set-up, so they are logged', () => {
  const { log, last } = logTo();
  log.event('process.failed', { error: fail('queue-unavailable', new Error(address)) });
  assert.match(JSON.stringify(last()), /The queue cannot be reached/);
  assert.doesNotMatch(JSON.stringify(last()), /alice/i);
  log.event('process.failed', { error: new SetupError('/etc/key is empty') });
  assert.match(JSON.stringify(last()), /\/etc\/key is empty/);
});

test('a cause that points at itself ends', () => {
  const { log, last } = logTo();
  const error = new Error('a');
  error.cause = error;
  log.event('process.failed', { error });
  assert.ok(last().error);
});

test('a field that is not of the list stays out', () => {
  const { log, last } = logTo();
  const fields = { tenant: 'alpha', subject: 'secret subject', time: 'never' } as EventFields;
  log.event('message.accepted', fields);
  assert.equal(last().subject, undefined);
  assert.notEqual(last().time, 'never');
});

test('the level decides what is written', () => {
  const { log, lines } = logTo({ level: 'warn' });
  log.event('message.accepted');
  log.event('message.quarantined');
  assert.equal(lines.length, 1);
});
