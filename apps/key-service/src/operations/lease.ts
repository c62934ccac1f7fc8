// A user's private key for one worker and a short time, if the message justifies it and the key may leave at all.

import { fail } from '@sealpost/core';
import { justifiedKey, useSubject } from './justified.ts';
import type { Operation } from './operation.ts';
import { handOver } from './spool.ts';

export const lease: Operation<'lease'> = {
  subject: useSubject,
  async run(request, call) {
    const { store, now, caller } = call;
    const { instance, ephemeral } = request;
    const lifeMs = Math.min(store.limits.leaseMs, store.policy().leaseSeconds * 1000);
    const { fingerprint: client, name } = caller;
    // In one, so that no key is suspended between being read and being counted as held.
    const key = await store.records.transaction(async () => {
      const found = await justifiedKey(request, call);
      if (store.useOf(found) === 'in-place') throw fail('key-in-place');
      store.leases.take({ client, name, instance, keyId: found.keyId, until: new Date(now.getTime() + lifeMs) }, now);
      return found;
    });
    return handOver(key, { instance, ephemeral, purpose: 'lease', lifeMs }, call);
  },
};
