// Saves the running store: a copy of one moment, with a canary that proves later that the copy's keys open, sealed to the quorum's
// public key before it gets its name in the backup directory.

import { createHash, createPublicKey, randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fail, setupSender } from '@sealpost/core';
import { KeyFault, type KeyFaultCode, type KeyServerConfig } from '@sealpost/service';
import { installationTenant } from '../authority/authority.ts';
import type { OpenStore } from '../open-store.ts';
import type { StoredKey } from '../store/key-store.ts';
import { makePrivateKey } from '../store/make-key.ts';
import { type Canary, type Manifest, sealBackup, sha256Of } from './backup-file.ts';
import { recipientKey } from './quorum.ts';

/** Given out by no operation, like an authority's. */
const canaryKey = { tenant: installationTenant, identity: 'backup-canary', use: 'ca' } as const;
export const canaryInfo = Buffer.from('sealpost backup canary');
export const backupSuffix = '.sealpost-backup';

/** Of the file. */
export function backupName(createdAt: Date): string {
  return `${createdAt.toISOString().replaceAll(':', '')}${backupSuffix}`;
}

export interface BackupSource {
  readonly config: KeyServerConfig['backup'];
  readonly store: OpenStore;
  /** Signed, as answers carry it. */
  readonly head: string;
  /** SPKI of the audit key, base64, and what signs with it. */
  readonly key: string;
  sign(form: Buffer): Buffer;
  /** Records the making of the canary key. */
  recorded<T>(keyName: string, make: () => Promise<T>): Promise<T>;
}

export interface BackupMade {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly createdAt: Date;
  readonly head: string;
}

/** Faults: `backup-not-configured`, `backup-recipient-unreadable`, `backup-not-written`. */
export async function makeBackup(source: BackupSource): Promise<BackupMade> {
  const { config, store, head, key, sign } = source;
  if (config.directory === undefined || config.recipient === undefined) throw new KeyFault('backup-not-configured');
  const { directory, recipient: recipientFile } = config;
  const recipient = orFault('backup-recipient-unreadable', () => recipientKey(readFileSync(recipientFile, 'utf8')));
  orFault('backup-not-written', () => mkdirSync(directory, { recursive: true, mode: 0o700 }));
  const canary = sealCanary(await ensureCanaryKey(source));
  const createdAt = store.now();
  const file = join(directory, backupName(createdAt));
  const copy = await store.copy();
  const manifest: Manifest = {
    v: 2,
    createdAt: createdAt.toISOString(),
    store: store.id,
    head,
    key,
    sha256: sha256Of(copy),
    canary,
  };
  const sealed = sealBackup({ manifest, store: copy }, sign, recipient);
  orFault('backup-not-written', () => writeDurably(file, sealed));
  return { file, bytes: sealed.length, sha256: sha256Of(sealed), createdAt, head };
}

/** What the disk says goes to nobody; whose work it is to mend it, is told which part. */
function orFault<T>(code: KeyFaultCode, act: () => T): T {
  try {
    return act();
  } catch {
    throw new KeyFault(code);
  }
}

async function ensureCanaryKey({ store, recorded }: BackupSource): Promise<StoredKey> {
  const [known] = await store.keys.versions(canaryKey.tenant, canaryKey.identity, canaryKey.use);
  const found =
    known ??
    (await recorded(`${canaryKey.tenant}/${canaryKey.identity}/${canaryKey.use}/1`, async () =>
      store.keys.add({ ...canaryKey, privateKey: await makePrivateKey('x25519') }),
    ));
  if (!found) throw fail('internal');
  return found;
}

function sealCanary({ keyId, spki }: StoredKey): Canary {
  const value = randomBytes(32);
  const sender = setupSender(createPublicKey({ key: spki, format: 'der', type: 'spki' }), canaryInfo);
  return {
    keyId,
    encapsulated: sender.encapsulated.toString('base64'),
    sealed: sender.seal(Buffer.alloc(0), value).toString('base64'),
    sha256: createHash('sha256').update(value).digest('hex'),
  };
}

/** Under its name only when it is whole and on disk. */
export function writeDurably(file: string, bytes: Buffer): void {
  const part = `${file}.part`;
  rmSync(part, { force: true });
  const handle = openSync(part, 'wx', 0o600);
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(handle, bytes, done);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(part, file);
  const directory = openSync(dirname(file), 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
