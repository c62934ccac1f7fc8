// Orders the destruction of a key version; it ends when the policy's window is over, and until then the order can be taken back. Mail
// that still waits and mail that has to stay readable stand in its way.

import { type KeyId, parseKeyId } from '@sealpost/core';
import { KeyFault, stateAfter } from '@sealpost/service';
import { z } from 'zod';
import { actorOf } from '../caller.ts';
import { moveKey } from '../lifecycle/move-key.ts';
import { certificateOf } from '../lifecycle/rotate-keys.ts';
import type { OpenStore } from '../open-store.ts';
import type { StoredKey } from '../store/key-store.ts';
import type { Act } from './act.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** A stage seals to a spool key that it knows for so long without asking again (service/key-client.ts). */
const spoolKnownMs = 12 * hourMs;
/** By which the clocks of one installation may differ. */
const clockSkewMs = 5 * 60_000;
/** A statement about the spool is about now. */
const statementLifeMs = 24 * hourMs;

const form = z.strictObject({
  keyId: z.string().min(7).max(1024),
  /** For a spool key: what `sealpost queue spool-keys` found, every sealed piece of the spool read. */
  spool: z
    .strictObject({
      scannedAt: z.iso.datetime(),
      blobs: z.int().min(0),
      unread: z.int().min(0),
      keys: z.array(z.string().max(1024)).max(100_000),
    })
    .optional(),
});
type Params = z.output<typeof form>;

export const keyDestroy: Act<Params> = {
  form,
  requestedBy: ['key-admin'],
  duty: 'delete',
  describe: ({ keyId, spool }) =>
    `destroy the private key ${keyId}${spool ? `; at ${spool.scannedAt} none of ${spool.blobs} pieces in the spool named it` : ''}`,
  subject: ({ keyId }, store) => ({ tenant: parseKeyId(keyId).tenant, key: store.auditKey(keyId) }),
  async check(params, { store }) {
    await destroyable(params, store);
  },
  run: (params, { store, caller }) =>
    store.records.transaction(async () => {
      const key = await destroyable(params, store);
      const destroyAt = new Date(store.now().getTime() + store.policy().destroyWindowDays * dayMs);
      const { keyId, state } = await moveKey(key, 'destroy', store, actorOf(caller), destroyAt);
      return { keyId, state, destroyAt: destroyAt.toISOString() };
    }),
};

/** Faults: `not-found`, `key-state`, `key-in-use`, `key-retained`. */
async function destroyable({ keyId, spool }: Params, store: OpenStore): Promise<StoredKey> {
  parseKeyId(keyId);
  const key = await store.keys.get(keyId as KeyId);
  if (!key) throw new KeyFault('not-found');
  if (!stateAfter('destroy', key.state, key.compromised)) throw new KeyFault('key-state');
  const isOurs = key.name.use === 'spool' || key.name.use === 'mac';
  if (isOurs && !(await isQuiet(key, store))) throw new KeyFault('key-in-use');
  if (key.name.use === 'spool' && !isUnnamed(key, spool, store)) throw new KeyFault('key-in-use');
  if (key.name.use === 'decryption' && !key.compromised && (await isRetained(key, store)))
    throw new KeyFault('key-retained');
  return key;
}

/** A newer version took over longer ago than mail may be here, and longer than a stage may not have noticed. */
async function isQuiet({ name }: StoredKey, store: OpenStore): Promise<boolean> {
  const { tenant, identity, use, version } = name;
  const versions = await store.keys.versions(tenant, identity, use);
  const successor = versions.findLast((each) => each.name.version > version);
  const quietFrom =
    (successor?.createdAt.getTime() ?? Number.POSITIVE_INFINITY) + spoolKnownMs + store.limits.ticketLifeMs;
  return store.now().getTime() > quietFrom;
}

/** Somebody looked: no piece of the spool names the key, and none is there that cannot say which it names. */
function isUnnamed({ keyId }: StoredKey, spool: Params['spool'], store: OpenStore): boolean {
  if (!spool || spool.unread > 0 || spool.keys.includes(keyId)) return false;
  const age = store.now().getTime() - new Date(spool.scannedAt).getTime();
  return age >= -clockSkewMs && age < statementLifeMs;
}

/** Mail to a certificate must stay readable for the policy's time after the certificate ended. */
async function isRetained(key: StoredKey, store: OpenStore): Promise<boolean> {
  const end = (await certificateOf(key, store))?.certificate.notAfter;
  return end !== undefined && end.getTime() + store.policy().retentionDays * dayMs > store.now().getTime();
}
