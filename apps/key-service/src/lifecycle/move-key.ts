// One step in the life of a key version: a compare-and-swap of its row, in the transaction that also queues the audit record. Steps
// and states are the tables of key-protocol/key-states.ts.

import { type AuditEntry, KeyFault, type KeyStep, keyStates, stateAfter } from '@sealpost/service';
import type { OpenStore } from '../open-store.ts';
import type { StoredKey } from '../store/key-store.ts';

export type LifecycleStore = Pick<OpenStore, 'records' | 'keys' | 'outbox' | 'auditKey' | 'leases' | 'now'>;

/** Who asked for a step: a caller, or the service by itself. */
export type Actor = AuditEntry['actor'];

export const self: Actor = { role: 'key-service', name: 'self' };

/**
 * The key after the step. `destroyAt`: for `destroy`, the end of its window. Faults: `key-state` where the step does not lead from
 * the key's state, `key-needed` where mail would stand still.
 */
export async function moveKey(
  found: StoredKey,
  step: KeyStep,
  store: LifecycleStore,
  actor: Actor,
  destroyAt?: Date,
): Promise<StoredKey> {
  const compromised = found.compromised || step === 'compromise';
  const state = stateAfter(step, found.state, compromised);
  // Authorities, the audit key and canaries have no successor that others would know; they do not move.
  if (!state || found.name.use === 'ca' || found.name.use === 'backup') throw new KeyFault('key-state');
  return await store.records.transaction(async () => {
    const isNeeded = ['spool', 'mac'].includes(found.name.use) && found.state === 'active' && state !== 'active';
    if (isNeeded && !(await hasOther(found, store))) throw new KeyFault('key-needed');
    const at = store.now();
    const moved = await store.keys.move(found, {
      state,
      since: at,
      compromised,
      ...(destroyAt && state === 'destroy-pending' ? { destroyAt } : {}),
    });
    if (!moved) throw new KeyFault('key-state');
    await announce(moved, found, store, actor);
    // Whoever holds it must not go on with what it may not do any more.
    if (mayBeUsed(found) && !mayBeUsed(moved)) await store.leases.revoke({ keyId: found.keyId }, at);
    return moved;
  });
}

/** Queues the record of a key's new state, or of a new key; to be called in the transaction of the change. */
export async function announce(
  { keyId, name, state }: StoredKey,
  before: StoredKey | undefined,
  store: LifecycleStore,
  actor: Actor,
): Promise<void> {
  await store.outbox.put({
    at: store.now(),
    operation: 'key-state',
    actor,
    tenant: name.tenant,
    key: store.auditKey(keyId),
    ...(before ? { was: before.state } : {}),
    state,
    result: 'ok',
  });
}

/** For what it is leased for. */
export function mayBeUsed({ state, name }: StoredKey): boolean {
  return keyStates[state][name.use === 'signing' ? 'signs' : 'opens'];
}

async function hasOther({ keyId, name }: StoredKey, { keys }: LifecycleStore): Promise<boolean> {
  const { tenant, identity, use } = name;
  const versions = await keys.versions(tenant, identity, use);
  return versions.some((each) => each.state === 'active' && each.keyId !== keyId);
}
