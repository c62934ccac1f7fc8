// What the service does with keys by itself, once an hour: rotates what is due, ends what was replaced, destroys what waited long
// enough. And it remembers when the next rotation of each use is due, for the metric.

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { KeyUse, Log, TenantId } from '@sealpost/core';
import type { OpenStore } from '../open-store.ts';
import type { StoredKey } from '../store/key-store.ts';
import { moveKey, self } from './move-key.ts';
import { certificateOf, rotateKey } from './rotate-keys.ts';
import { nextRotation, overlapMs } from './schedule.ts';

/** In one round, so that a store that was sealed for months does not spend an hour on making keys before it serves. */
const maxRotations = 50;

/** The use whose next rotation is due first, by tenant. */
export interface Due {
  readonly tenant: TenantId;
  readonly use: KeyUse;
  readonly at: Date;
}

/** One round. Each change has its record in the outbox; the caller flushes it. Goes on with the others when a key fails. */
export async function tendKeys(store: OpenStore, tenants: readonly TenantId[], log: Log): Promise<Due[]> {
  let left = maxRotations;
  const dues: Due[] = [];
  for (const tenant of tenants) {
    const earliest = new Map<KeyUse, Date>();
    const groups = Map.groupBy(await store.keys.ofTenant(tenant), ({ name }) => `${name.identity} ${name.use}`);
    for (const keys of groups.values()) {
      // Others are served between two of them.
      await nextTurn();
      try {
        await endVersions(keys, store, log);
        if (await replaceDue(keys, store, log, left > 0)) left--;
      } catch (error) {
        log.event('key.not-tended', { tenant, ...(error instanceof Error ? { error } : {}) });
      }
      await note(keys, store, earliest);
    }
    for (const [use, at] of earliest) dues.push({ tenant, use, at });
  }
  return dues;
}

/** Destroys what waited long enough, and ends what was replaced for the time of the overlap. */
async function endVersions(keys: readonly StoredKey[], store: OpenStore, log: Log): Promise<void> {
  const now = store.now();
  for (const key of keys) {
    if (key.state !== 'destroy-pending' || !key.destroyAt || key.destroyAt > now) continue;
    await moveKey(key, 'erase', store, self);
    await store.records.scrub();
    log.event('key.destroyed', factsOf(key, store));
  }
  const [current, ...before] = newestFirst(keys);
  if (!current || ['ca', 'backup'].includes(current.name.use) || current.since.getTime() + overlapMs > now.getTime())
    return;
  for (const key of before) {
    await moveKey(key, 'deactivate', store, self);
    log.event('key.moved', { ...factsOf(key, store), reason: 'replaced' });
  }
}

/** True when a successor was made; one that waits for its certificate is asked for again. */
async function replaceDue(keys: readonly StoredKey[], store: OpenStore, log: Log, mayMake: boolean): Promise<boolean> {
  const [{ name } = {}] = keys;
  // As it stands now: one certificate for both uses may have been renewed with the other key.
  const current = name && (await store.keys.current(name.tenant, name.identity, name.use));
  const due = current && (await dueOf(current, store));
  const now = store.now();
  if (!mayMake || !due || due > now) return false;
  const made = await rotateKey(current, store, self);
  for (const key of made) {
    log.event(key.state === 'active' ? 'key.rotated' : 'key.certificate-wanted', factsOf(key, store));
  }
  return made.some(({ createdAt }) => createdAt >= now);
}

async function note([any]: readonly StoredKey[], store: OpenStore, earliest: Map<KeyUse, Date>): Promise<void> {
  if (!any) return;
  const { tenant, identity, use } = any.name;
  const current = await store.keys.current(tenant, identity, use);
  const at = current && (await dueOf(current, store));
  const known = earliest.get(use);
  if (at && (!known || at < known)) earliest.set(use, at);
}

function newestFirst(keys: readonly StoredKey[]): StoredKey[] {
  return keys.filter(({ state }) => state === 'active').sort((a, b) => b.name.version - a.name.version);
}

/** When the successor of a version in use is due. */
export async function dueOf(key: StoredKey, store: OpenStore): Promise<Date | undefined> {
  const { keyId, name, createdAt, token } = key;
  // People make the successor of a key in a token.
  if (token) return undefined;
  const certificateEnds = (await certificateOf(key, store))?.certificate.notAfter;
  return nextRotation({ keyId, use: name.use, createdAt }, store.policy().rotation, certificateEnds);
}

function factsOf({ keyId, name }: StoredKey, store: OpenStore) {
  return { tenant: name.tenant, key: store.auditKey(keyId) };
}
