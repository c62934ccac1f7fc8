// A user's private key for one worker and a short time, if the message justifies it and the key may leave at all.

import { fail } from '@sealpost/core';
import { justifiedKey, useSubject } from './justified.ts';
import type { Operation } from './operation.ts';
import { handOver } from './spool.ts';

export const lease: Operation<'lease'> = {
  subject: useSubject,
  run(request, call) {
    const { store, now, caller } = call;
    const key = justifiedKey(request, call);
    if (store.useOf(key) === 'in-place') throw fail('key-in-place');
    const { instance, ephemeral } = request;
    const lifeMs = Math.min(store.limits.leaseMs, store.policy().leaseSeconds * 1000);
    const { fingerprint: client, name } = caller;
    store.leases.take({ client, name, instance, keyId: key.keyId, until: new Date(now.getTime() + lifeMs) }, now);
    return handOver(key, { instance, ephemeral, purpose: 'lease', lifeMs }, call);
  },
};
