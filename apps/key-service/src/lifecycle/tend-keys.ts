// What the service does with keys by itself, once an hour: rotates what is due, ends what was replaced, destroys what waited long
// enough. And it remembers when the next rotation of each use is due, for the metric.

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
  for (const tenant of tenants) {
    const groups = Map.groupBy(store.keys.ofTenant(tenant), ({ name }) => `${name.identity} ${name.use}`);
    for (const keys of groups.values()) {
      try {
        if (await tendVersions(keys, store, log, left > 0)) left--;
      } catch (error) {
        log.event('key.not-tended', { tenant, ...(error instanceof Error ? { error } : {}) });
      }
    }
  }
  return tenants.flatMap((tenant) => duesOf(tenant, store));
}

/** One identity's versions of one use. True when a successor was made. */
async function tendVersions(
  keys: readonly StoredKey[],
  store: OpenStore,
  log: Log,
  mayRotate: boolean,
): Promise<boolean> {
  const now = store.now();
  for (const key of keys) {
    if (key.state !== 'destroy-pending' || !key.destroyAt || key.destroyAt > now) continue;
    moveKey(key, 'erase', store, self);
    store.records.scrub();
    log.event('key.destroyed', factsOf(key, store));
  }
  const [current, ...before] = keys
    .filter(({ state }) => state === 'active')
    .sort((a, b) => b.name.version - a.name.version);
  if (!current || current.name.use === 'ca') return false;
  for (const key of before) {
    if (current.since.getTime() + overlapMs > now.getTime()) continue;
    moveKey(key, 'deactivate', store, self);
    log.event('key.moved', { ...factsOf(key, store), reason: 'replaced' });
  }
  const due = dueOf(current, store);
  if (mayRotate && due && due <= now && store.keys.get(current.keyId)?.state === 'active') {
    const isCurrent = store.keys.current(current.name.tenant, current.name.identity, current.name.use);
    // One certificate for both uses was renewed with the other key.
    if (isCurrent?.keyId !== current.keyId) return false;
    for (const made of await rotateKey(current, store, self)) {
      log.event(made.state === 'active' ? 'key.rotated' : 'key.certificate-wanted', factsOf(made, store));
    }
    return true;
  }
  return false;
}

function duesOf(tenant: TenantId, store: OpenStore): Due[] {
  const earliest = new Map<KeyUse, Date>();
  const groups = Map.groupBy(store.keys.ofTenant(tenant), ({ name }) => `${name.identity} ${name.use}`);
  for (const keys of groups.values()) {
    const [current] = keys.filter(({ state }) => state === 'active').sort((a, b) => b.name.version - a.name.version);
    const at = current && dueOf(current, store);
    if (!at) continue;
    const known = earliest.get(current.name.use);
    if (!known || at < known) earliest.set(current.name.use, at);
  }
  return [...earliest].map(([use, at]) => ({ tenant, use, at }));
}

export function dueOf({ keyId, name, createdAt, ...rest }: StoredKey, store: OpenStore): Date | undefined {
  // People make the successor of a key in a token.
  if (rest.token) return undefined;
  const certificate = certificateOf({ keyId, name, createdAt, ...rest }, store)?.certificate;
  return nextRotation({ keyId, use: name.use, createdAt }, store.policy().rotation, certificate?.notAfter);
}

function factsOf({ keyId, name }: StoredKey, store: OpenStore) {
  return { tenant: name.tenant, key: store.auditKey(keyId) };
}
