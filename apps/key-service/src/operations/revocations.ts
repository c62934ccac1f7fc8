// Leases called back: by people, told to workers at once, acknowledged by workers. See revocations.ts.

import type { KeyId } from '@sealpost/core';
import type { Caller } from '../caller.ts';
import type { Holder } from '../revocations.ts';
import type { Operation } from './operation.ts';

/** How long a worker's request stays open: below the time that a client waits for any answer. */
const waitMs = 5_000;

export const revocations: Operation<'revocations'> = {
  async run({ instance }, { caller, store }) {
    const open = await store.leases.revocations.next(holderOf(caller, instance), waitMs, store.now);
    return { revocations: open.map(({ id, keyId }) => (keyId === undefined ? { id } : { id, keyId })) };
  },
};

export const revocationAcknowledge: Operation<'revocation-acknowledge'> = {
  subject: ({ instance, ids }) => ({ instance, count: ids.length }),
  async run({ instance, ids }, { caller, store }) {
    await store.leases.revocations.acknowledge(holderOf(caller, instance), ids);
    return {};
  },
};

export const leaseReturn: Operation<'lease-return'> = {
  subject: ({ instance }) => ({ instance }),
  async run({ instance }, { caller, store }) {
    await store.leases.giveBack(holderOf(caller, instance));
    return {};
  },
};

export const leaseRevoke: Operation<'lease-revoke'> = {
  subject: ({ keyId, worker }, store) => ({
    ...(keyId === undefined ? {} : { key: store.auditKey(keyId) }),
    ...(worker === undefined ? {} : { instance: worker }),
  }),
  async run({ keyId, worker }, { store, now, note }) {
    const what = {
      ...(keyId === undefined ? {} : { keyId: keyId as KeyId }),
      ...(worker === undefined ? {} : { worker }),
    };
    const holders = await store.leases.revoke(what, now);
    note({ count: holders.length });
    return { holders: holders.map(({ name, instance }) => ({ name, instance })) };
  },
};

export const leaseList: Operation<'lease-list'> = {
  run(_, { store, now }) {
    return {
      held: store.leases.held(now).map(({ name, instance, leases }) => ({ name, instance, leases })),
      revoked: store.leases.revocations.list(now).map(({ keyId, worker, at, awaited }) => ({
        ...(keyId === undefined ? {} : { keyId }),
        ...(worker === undefined ? {} : { worker }),
        at,
        awaited: awaited.map(({ name, instance }) => ({ name, instance })),
      })),
    };
  },
};

function holderOf({ fingerprint, name }: Caller, instance: string): Holder {
  return { client: fingerprint, name, instance };
}
