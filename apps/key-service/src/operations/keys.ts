// Key versions: what there is, and the steps of their lives that one person may take.

import { type KeyId, parseKeyId, type TenantId } from '@sealpost/core';
import { type KeyAnswer, KeyFault, type KeyStep, stateAfter } from '@sealpost/service';
import { installationTenant } from '../authority/authority.ts';
import { actorOf } from '../caller.ts';
import { moveKey } from '../lifecycle/move-key.ts';
import { rotateKey, twinsOf } from '../lifecycle/rotate-keys.ts';
import { dueOf } from '../lifecycle/tend-keys.ts';
import type { OpenStore } from '../open-store.ts';
import type { StoredKey } from '../store/key-store.ts';
import type { Call, Operation } from './operation.ts';

type Summary = KeyAnswer<'keys-list'>['keys'][number];

export const keysList: Operation<'keys-list'> = {
  async run({ tenant, identity, state }, { store, tenants }) {
    const chosen = [installationTenant, ...tenants.map(({ id }) => id)].filter(
      (id) => tenant === undefined || id === tenant,
    );
    const all = (await Promise.all(chosen.map((id) => store.keys.ofTenant(id)))).flat();
    const found = all
      .filter(({ name }) => identity === undefined || name.identity === identity)
      .filter((key) => state === undefined || key.state === state);
    return { keys: (await summariesOf(found, store)).sort(byName) };
  },
};

export const keysShow: Operation<'keys-show'> = {
  async run({ keyId }, { store }) {
    const key = await foundKey(keyId, store);
    const { tenant, identity } = key.name;
    const certificates = await store.certificates.ofAddress(tenant, identity);
    return {
      key: await summaryOf(key, store),
      publicKey: key.spki,
      certificates: certificates.filter((each) => each.keyId === key.keyId).map(({ fingerprint }) => fingerprint),
    };
  },
};

export const keysRotate: Operation<'keys-rotate'> = {
  subject: ({ tenant, identity }, store) =>
    identity.includes('@') ? { tenant, address: store.auditAddress(identity) } : { tenant },
  async run({ tenant, identity, use }, { store, caller, note }) {
    const uses = use === undefined ? (['signing', 'decryption', 'spool', 'mac'] as const) : [use];
    const made: StoredKey[] = [];
    for (const each of uses) {
      const current = await store.keys.current(tenant as TenantId, identity, each);
      // One certificate for both uses was renewed with the first.
      if (!current || made.some(({ keyId }) => keyId === current.keyId)) continue;
      made.push(...(await rotateKey(current, store, actorOf(caller))));
    }
    if (made.length === 0) throw new KeyFault('not-found');
    note({ count: made.length });
    return { keys: await summariesOf(made, store) };
  },
};

export const kekList: Operation<'kek-list'> = {
  run: (_, { store }) => ({
    keks: store.kekRotation.versions().map(({ use, versions }) => ({ use, versions: [...versions] })),
  }),
};

export const keysSuspend = movingBy('suspend');
export const keysResume = movingBy('resume');
export const keysDeactivate = movingBy('deactivate');
export const keysCompromise = movingBy('compromise');
export const keysDestroyCancel = movingBy('destroy-cancel');

function movingBy(step: KeyStep) {
  return {
    subject: ({ keyId }: { keyId: string }, store: OpenStore) => ({
      tenant: parseKeyId(keyId).tenant,
      key: store.auditKey(keyId),
    }),
    async run({ keyId }: { keyId: string }, { store, caller }: Call) {
      const moved = await store.records.transaction(async () => {
        const key = await foundKey(keyId, store);
        // What is known of a key is known of it under both its names.
        const twins = step === 'compromise' ? await twinsOf(key, store) : [];
        const others = twins.filter(
          (each) => each.keyId !== key.keyId && stateAfter(step, each.state, true) !== undefined,
        );
        const done: StoredKey[] = [];
        for (const each of [key, ...others]) done.push(await moveKey(each, step, store, actorOf(caller)));
        return done;
      });
      return { keys: await summariesOf(moved, store) };
    },
  };
}

/** Fault: `not-found`. */
export async function foundKey(keyId: string, store: OpenStore): Promise<StoredKey> {
  parseKeyId(keyId);
  const key = await store.keys.get(keyId as KeyId);
  if (!key) throw new KeyFault('not-found');
  return key;
}

async function summariesOf(keys: readonly StoredKey[], store: OpenStore): Promise<Summary[]> {
  return await Promise.all(keys.map((key) => summaryOf(key, store)));
}

async function summaryOf(key: StoredKey, store: OpenStore): Promise<Summary> {
  const { keyId, name, algorithm, state, createdAt, since, destroyAt } = key;
  const current = state === 'active' ? await store.keys.current(name.tenant, name.identity, name.use) : undefined;
  const due = current?.keyId === keyId ? await dueOf(key, store) : undefined;
  return {
    keyId,
    ...name,
    algorithm,
    state,
    createdAt,
    since,
    ...(destroyAt ? { destroyAt } : {}),
    ...(due ? { nextRotation: due } : {}),
  };
}

function byName(a: Summary, b: Summary): number {
  if (a.tenant !== b.tenant || a.identity !== b.identity || a.use !== b.use) {
    return `${a.tenant} ${a.identity} ${a.use}` < `${b.tenant} ${b.identity} ${b.use}` ? -1 : 1;
  }
  return b.version - a.version;
}
