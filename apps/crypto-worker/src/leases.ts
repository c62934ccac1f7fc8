// Private keys in memory for as long as the key service lent them. One lease serves all mail until it expires; what was leased
// is audited per lease, not per use.

import { type Clock, fail, type KeyId, type KeyJustification, type KeyLease, type KeyService } from '@sealpost/core';
import type { KeyObject } from 'node:crypto';

export interface Leases {
  /** The key, leased for this job if no lease is alive. Errors: those of `KeyService.lease`. */
  privateKey(keyId: KeyId, justification: KeyJustification): Promise<KeyObject>;
}

/** Keys of this many mailboxes are in use at a time in a busy worker; beyond that the oldest lease is let go. */
const maxLeases = 4096;

export function leases(keys: Pick<KeyService, 'lease'>, clock: Clock): Leases {
  const held = new Map<KeyId, KeyLease>();
  return {
    async privateKey(keyId, justification) {
      const known = held.get(keyId);
      if (known && isAlive(known, clock)) return known.privateKey;
      held.delete(keyId);
      const lease = await keys.lease(keyId, justification);
      // An answer that came too late, or for something else, must not be used.
      if (lease.keyId !== keyId || !isAlive(lease, clock)) throw fail('key-service-unavailable');
      for (const oldest of held.keys()) {
        if (held.size < maxLeases) break;
        held.delete(oldest);
      }
      held.set(keyId, lease);
      return lease.privateKey;
    },
  };
}

function isAlive(lease: KeyLease, clock: Clock): boolean {
  return lease.expiresAt.getTime() > clock.now().getTime();
}
