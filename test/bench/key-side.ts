// A key service in a process of its own, with one RSA-2048 identity and tickets that justify leases of its signing key.

import { spawn, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Envelope,
  encodeEnvelope,
  envelopeHash,
  type KeyId,
  newMessageId,
  signTicket,
  tenantId,
} from '@sealpost/core';
import { connectKeyService, loadConfig, openKeyConnection } from '@sealpost/service';
import { freePort, temporaryDirectory } from '@sealpost/testkit';
import { leaseBatches } from '../../packages/service/src/lease-batches.ts';

const main = join(import.meta.dirname, '../../apps/key-service/src/main.ts');
const address = 'alice@alpha.test';
const tenant = tenantId('alpha');
/** Each ticket is shown many times, as a worker does that has lost its lease. */
const tickets = 256;
const startMs = 60_000;

export interface KeySide extends AsyncDisposable {
  readonly pid: number;
  /** PKCS#8 of a key like the one that is leased. */
  readonly secret: Buffer;
  lease(): Promise<void>;
  /** Leased so far. */
  leases(): number;
  /** Ends the process and counts what its log says. */
  stop(): Promise<{ readonly leases: number; readonly recorded: number }>;
}

/** `flags`: further ones for Node, such as those of its profiler. */
export async function startKeySide(flags: readonly string[] = []): Promise<KeySide> {
  const directory = await temporaryDirectory();
  const configFile = join(directory.path, 'installation.yaml');
  const healthPort = await freePort();
  writeFileSync(configFile, JSON.stringify(configOf(directory.path, await freePort(), healthPort)));
  const made = spawnSync(process.execPath, [main, 'init', '--config', configFile], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`init failed: ${made.stderr}`);
  const child = spawn(process.execPath, [...flags, main, '--config', configFile], { stdio: 'ignore' });
  const gone = once(child, 'exit');
  const config = loadConfig(configFile);
  const operator = openKeyConnection(config.keyService, 'operator');
  for (const deadline = Date.now() + startMs; ; await sleep(100)) {
    if (
      await operator.call('status', {}).then(
        ({ sealed }) => !sealed,
        () => false,
      )
    )
      break;
    if (Date.now() > deadline || child.exitCode !== null) throw new Error('the key service did not start');
  }
  await operator.call('identity-add', { address, algorithm: 'rsa-2048' });
  operator.close();

  const ingress = connectKeyService(config.keyService, 'ingress', 'bench');
  const signer = await ingress.ticketSigner();
  await ingress.close();
  const keyId = 'alpha/alice%40alpha.test/signing/1' as KeyId;
  const requests = Array.from({ length: tickets }, () => {
    const envelope: Envelope = {
      mailFrom: address,
      headerFrom: address,
      recipients: [{ address: 'bob@beta.test' }],
      eightBit: false,
      smtpUtf8: false,
      salt: 'salt',
    };
    const now = new Date();
    const facts = { tenant, direction: 'outbound', source: 'bench', acceptedAt: now, issuedAt: now } as const;
    const bytes = { envelopeHash: envelopeHash(envelope), blobHash: Buffer.alloc(32), previous: Buffer.alloc(0) };
    const spool = `${tenant}/stage.crypto/spool/1` as KeyId;
    const ticket = signTicket({ kind: 'crypto', id: newMessageId(now), keyId: spool, ...facts, ...bytes }, signer);
    return { keyId, ticket, envelope: encodeEnvelope(envelope) };
  });
  // The way in which a worker asks, without the memory that keeps it from asking.
  const connections = Array.from({ length: 2 }, () => openKeyConnection(config.keyService, 'crypto-worker'));
  const workers = connections.map((connection) => leaseBatches(connection, 'bench'));
  let leases = 0;
  let asked = 0;

  async function end(): Promise<void> {
    for (const connection of connections) connection.close();
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await gone;
  }

  return {
    pid: child.pid ?? 0,
    secret: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'der', type: 'pkcs8' }),
    async lease() {
      asked += 1;
      const request = requests[asked % tickets];
      if (request) await workers[asked % workers.length]?.(request);
      leases += 1;
    },
    leases: () => leases,
    async stop() {
      await end();
      let recorded = 0;
      for await (const line of createInterface({ input: createReadStream(config.keyServer.audit.file) })) {
        if (line.includes('"kind":"outcome","operation":"lease"') && line.includes('"result":"ok"')) recorded += 1;
      }
      return { leases, recorded };
    },
    async [Symbol.asyncDispose]() {
      await end();
      await directory.remove();
    },
  };
}

function configOf(directory: string, port: number, healthPort: number) {
  const credentials = join(directory, 'credentials');
  return {
    installation: 'gateway.alpha.test',
    redis: { host: '127.0.0.1', port: 6379 },
    keyService: {
      url: `https://127.0.0.1:${port}`,
      caFile: join(credentials, 'ca.crt'),
      credentials,
      passphraseFile: join(credentials, 'passphrase'),
    },
    tenants: [{ id: tenant, domains: ['alpha.test'] }],
    ingress: { outbound: { startTls: 'off' }, inbound: { startTls: 'off' } },
    keyServer: {
      listen: { host: '127.0.0.1', port },
      directory: join(directory, 'keys'),
      audit: { file: join(directory, 'audit', 'audit.log'), deadlineMs: 10_000 },
      slot: { kind: 'file', file: join(directory, 'root') },
      leases: { perClient: 1_000_000 },
    },
    http: { keyService: { host: '127.0.0.1', port: healthPort } },
    egress: { routes: [] },
  };
}
