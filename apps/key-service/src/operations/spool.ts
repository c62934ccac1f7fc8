// Spool and marker keys: the public half to any stage, the private half to the stage that reads that spool, sealed to a key it
// made for this answer. They end in the stage's memory after twelve hours, so mail flows through an outage of this service.

import { randomUUID } from 'node:crypto';
import { fail, type KeyId, parseKeyId, type StageName, spoolIdentity, type TenantId } from '@sealpost/core';
import { KeyFault, type KeyPurpose, sealKey } from '@sealpost/service';
import type { ClientRole } from '../authority/service-authority.ts';
import { markerIdentity } from '../authority/tenant-authority.ts';
import type { StoredKey } from '../store/key-store.ts';
import type { Call, Operation } from './operation.ts';

/** How long a stage may keep a spool or marker key. */
const spoolLifeMs = 12 * 3_600_000;

/** The stage whose spool a role reads. */
const stageOf: Partial<Record<ClientRole, StageName>> = { 'crypto-worker': 'crypto', egress: 'delivery' };

export const spoolPublicKey: Operation<'spool-public-key'> = {
  async run({ tenant, stage }, { store }) {
    const newest = await store.keys.current(tenant as TenantId, spoolIdentity(stage), 'spool');
    if (!newest) throw new KeyFault('not-found');
    return { keyId: newest.keyId, publicKey: newest.spki };
  },
};

export const spoolPrivateKey: Operation<'spool-private-key'> = {
  subject: ({ instance, keyId }, store) => ({ instance, tenant: parseKeyId(keyId).tenant, key: store.auditKey(keyId) }),
  async run({ instance, keyId, ephemeral }, call) {
    const name = parseKeyId(keyId);
    const stage = stageOf[call.caller.role];
    if (!stage || name.use !== 'spool' || name.identity !== spoolIdentity(stage)) throw fail('key-denied');
    const key = await call.store.keys.get(keyId as KeyId);
    if (!key) throw fail('key-denied');
    return handOver(key, { instance, ephemeral, purpose: 'spool', lifeMs: spoolLifeMs }, call);
  },
};

export const markerKeys: Operation<'marker-keys'> = {
  subject: ({ instance, tenant }) => ({ instance, tenant }),
  async run({ instance, tenant, ephemeral }, call) {
    // The newest makes markers, the ones before prove older mail; one that others may know proves nothing.
    const all = await call.store.keys.versions(tenant as TenantId, markerIdentity, 'mac');
    const versions = all.filter(({ state }) => state === 'active' || state === 'deactivated');
    if (versions.length === 0) throw new KeyFault('not-found');
    const how = { instance, ephemeral, purpose: 'marker', lifeMs: spoolLifeMs } as const;
    return { keys: versions.map((key) => handOver(key, how, call)) };
  },
};

interface Handover {
  readonly instance: string;
  readonly ephemeral: Buffer;
  readonly purpose: KeyPurpose;
  readonly lifeMs: number;
}

/** Seals a key to its receiver and notes in the outcome's record which lease that is and when it ends. */
export function handOver(key: StoredKey, { instance, ephemeral, purpose, lifeMs }: Handover, call: Call) {
  const { keyId } = key;
  const leaseId = randomUUID();
  const expiresAt = new Date(call.now.getTime() + lifeMs);
  const sealed = call.store.keys.withSecret(key, (secret) =>
    sealKey(secret, { instance, leaseId, keyId, purpose, expiresAt }, ephemeral),
  );
  call.note({ lease: leaseId, until: expiresAt.toISOString() });
  return { leaseId, keyId, expiresAt, sealed };
}
