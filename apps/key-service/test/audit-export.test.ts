// The audit log at a SIEM: every record, in order, over TLS from the running service, over the ends of files and over connections that
// are lost; and a collector that is away holds up nothing.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import type { Log } from '@sealpost/core';
import { type AuditEntry, type Installation, readLog, syslogMessage } from '@sealpost/service';
import { temporaryDirectory } from '@sealpost/testkit';
import { exportLog } from '../src/audit/export-log.ts';
import { headSigner } from '../src/audit/head-signer.ts';
import { openLog } from '../src/audit/open-log.ts';
import { runKeyService } from './running-key-service.ts';

const clock = { now: () => new Date('2026-01-01T00:00:00Z') };
const waitMs = 10_000;

const entry = (message: string): AuditEntry => ({
  at: clock.now(),
  kind: 'outcome',
  operation: 'lease',
  request: 'r',
  actor: { role: 'crypto-worker', name: 'default' },
  message,
  result: message === 'm1' ? 'key-denied' : 'ok',
});

/** What RFC 6587 §3.4.1 frames hold, whole ones only. */
function unframed(text: string): string[] {
  const messages: string[] = [];
  for (let rest = text; ; ) {
    const [start = '', length] = /^(\d+) /.exec(rest) ?? [];
    const end = start.length + Number(length);
    if (length === undefined || rest.length < end) return messages;
    messages.push(rest.slice(start.length, end));
    rest = rest.slice(end);
  }
}

const seqOf = (text: string): number => Number(/"seq":(\d+)/.exec(text)?.[1]);

async function until(holds: () => boolean): Promise<void> {
  for (const end = Date.now() + waitMs; !holds() && Date.now() < end; ) await wait(20);
  assert.ok(holds());
}

test('each record arrives as a syslog message over TLS, from a service that was told so in its configuration', async () => {
  let received = '';
  const collector = createTlsServer((socket) => socket.on('data', (data) => (received += data.toString())));
  collector.on('tlsClientError', () => undefined);
  collector.listen(0, '127.0.0.1');
  await once(collector, 'listening');
  await using service = await runKeyService({
    prepare(directory) {
      const file = join(directory, 'installation.yaml');
      const config = JSON.parse(readFileSync(file, 'utf8'));
      const credentials = join(directory, 'credentials');
      const { port } = collector.address() as AddressInfo;
      config.keyServer.audit.export = [{ name: 'siem', host: '127.0.0.1', port, caFile: join(credentials, 'ca.crt') }];
      writeFileSync(file, JSON.stringify(config));
      collector.setSecureContext({
        cert: readFileSync(join(credentials, 'key-service.crt')),
        key: readFileSync(join(credentials, 'key-service.key')),
        passphrase: readFileSync(join(credentials, 'passphrase'), 'utf8').trim(),
      });
    },
  });
  await service.call('operator').call('identity-add', { address: 'zoe@alpha.test', algorithm: 'p-256' });
  await until(() => received.includes('identity-add'));
  await service.end();
  collector.close();
  const messages = unframed(received);
  assert.deepEqual(
    messages.map(seqOf),
    Array.from({ length: messages.length }, (_, at) => at + 1),
  );
  const added = messages.find((text) => /identity-add.*"kind":"intent"/.test(text)) ?? '';
  assert.match(
    added,
    /^<110>1 \d{4}-\d\d-\d\dT[\d:.]+Z gateway\.alpha\.test sealpost-key-service - identity-add \[sealpost@32473 seq="\d+" kind="intent" hash="[0-9a-f]{64}"\] \{"v":1,/,
  );
  assert.doesNotMatch(received, /zoe/);
  assert.match(readFileSync(`${service.config.keyServer.audit.file}.export-siem`, 'utf8'), /^\{"seq":\d+\}\n$/);
});

test('a refusal is a warning, and nothing in a record breaks out of its field', () => {
  const line = (operation: string, result: string) =>
    JSON.stringify({
      v: 1,
      suite: 1,
      seq: 1,
      at: '2026-01-01T00:00:00.000Z',
      kind: 'event',
      operation,
      result,
      hash: 'h',
    });
  assert.match(syslogMessage(line('lease', 'key-denied'), 'h'), /^<108>1 /);
  const hostile = syslogMessage(line('a b\n<1>', 'x"]\\ y'), 'ho st');
  assert.match(
    hostile,
    /^<108>1 \S+ ho_st sealpost-key-service - a_b_<1> \[sealpost@32473 seq="1" kind="event" result="x\\"\\\]\\\\ y" hash="h"\] \{/,
  );
  assert.equal(hostile.includes('\n'), false);
});

test('over the ends of files, collectors that hang up, and starts of its own, no record is left out', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'audit.log');
  const events: string[] = [];
  const log: Log = { event: (name) => events.push(name) };
  const journal = await openLog({ file, deadlineMs: 2_000, segmentBytes: 4_000, log, clock });
  assert.ok(journal);
  journal.signWith(headSigner('ab'.repeat(16), generateKeyPairSync('ed25519').privateKey));

  const texts: string[] = [];
  const sockets = new Set<Socket>();
  const collector = createServer((socket) => {
    sockets.add(socket);
    const at = texts.push('') - 1;
    socket.on('error', () => undefined);
    socket.on('data', (data) => (texts[at] += data.toString()));
  });
  collector.listen(0, '127.0.0.1');
  await once(collector, 'listening');
  const { port } = collector.address() as AddressInfo;
  const target = { name: 'siem', host: '127.0.0.1', port, format: 'json-lines', tls: false } as const;
  const config = { installation: 'gw', keyServer: { audit: { file } } } as Installation;
  const durable = () => journal.head().head.seq;
  const seen = () => new Set(texts.flatMap((text) => text.split('\n').slice(0, -1).map(seqOf)));

  let run = exportLog({ config, target, log, durable });
  for (let at = 0; at < 40; at++) await journal.append(entry(`m${at}`));
  await until(() => run.behind() === 0 && seen().size === durable());
  for (const socket of sockets) socket.destroy();
  for (let at = 0; at < 40; at++) await journal.append(entry(`n${at}`));
  await until(() => run.behind() === 0 && seen().size === durable());
  assert.ok(events.includes('dependency.lost') && events.includes('dependency.back'));

  await run.stop();
  const before = texts.length;
  for (let at = 0; at < 10; at++) await journal.append(entry(`o${at}`));
  run = exportLog({ config, target, log, durable });
  assert.ok(run.behind() >= 10);
  await until(() => run.behind() === 0 && seen().size === durable());
  assert.ok((texts[before] ?? '').split('\n').length <= 13, 'what was sent before is not sent again');
  await run.stop();
  collector.close();
  for (const socket of sockets) socket.destroy();

  // A collector that is away: the log goes on, and stopping does not wait for it.
  run = exportLog({ config, target, log, durable });
  await journal.append(entry('alone'));
  assert.ok(run.behind() > 0);
  const started = Date.now();
  await run.stop();
  assert.ok(Date.now() - started < 2_000);
  await journal.close();
  const kept = await readLog(file);
  assert.equal(kept.kind, 'genuine');
});
