// A crypto worker's part with keys, for a look into its memory: leases the key that it is told, signs with it, and when its lease has
// ended and the garbage is collected says so. Usage: node --expose-gc leasing-worker.ts CONFIG KEY TICKET ENVELOPE

import { sign } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { decodeEnvelope, type KeyId } from '@sealpost/core';
import { connectKeyService, loadConfig } from '@sealpost/service';

const [config = '', keyId = '', ticket = '', envelope = ''] = process.argv.slice(2);
const service = connectKeyService(loadConfig(config).keyService, 'crypto-worker', 'looked-into');

/** In a function of its own, so that nothing of it lives on. */
async function use(): Promise<void> {
  const justified = {
    ticket: Buffer.from(ticket, 'base64'),
    envelope: decodeEnvelope(Buffer.from(envelope, 'base64')),
  };
  const lease = await service.lease(keyId as KeyId, justified);
  if ('privateKey' in lease) sign('sha256', Buffer.from('mail'), lease.privateKey);
}

await use();
process.stdout.write('holding\n');
// The next line of standard input ends the lease's life.
await new Promise((resolve) => process.stdin.once('data', resolve));
const real = Date.now;
Date.now = () => real() + 600_000;
await new Promise((resolve) => process.stdin.once('data', resolve));
for (let round = 0; round < 20; round++) {
  gc?.();
  await wait(50);
}
process.stdout.write('collected\n');
await new Promise((resolve) => process.stdin.once('data', resolve));
process.exit(0);
