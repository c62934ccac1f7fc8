// When a key version's successor is due: by the policy's period for its use, spread by a share that depends on the key alone, so that keys
// that were made together do not change together; and always well before its certificate ends.

import { createHash } from 'node:crypto';
import type { KeyId, KeyUse } from '@sealpost/core';
import type { Policy } from '../policy/policy.ts';

const dayMs = 86_400_000;

/** How long the version before stays active: longer than mail may wait, whose plan names its certificate. */
export const overlapMs = 30 * dayMs;

/** Undefined for what rotates only when somebody asks. `certificateEnds`: notAfter of its certificate, where it has one. */
export function nextRotation(
  { keyId, use, createdAt }: { readonly keyId: KeyId; readonly use: KeyUse; readonly createdAt: Date },
  rotation: Policy['rotation'],
  certificateEnds?: Date,
): Date | undefined {
  // A marker key lives as a spool key does: both are the gateway's own. Authorities and canaries do not rotate.
  const rule = use === 'ca' || use === 'backup' ? undefined : rotation[use === 'mac' ? 'spool' : use];
  if (!rule) return undefined;
  const period = (rule.days ?? Number.POSITIVE_INFINITY) * (1 - (share(keyId) * rule.jitterPercent) / 100) * dayMs;
  const due = Math.min(
    createdAt.getTime() + period,
    (certificateEnds?.getTime() ?? Number.POSITIVE_INFINITY) - overlapMs,
  );
  return due === Number.POSITIVE_INFINITY ? undefined : new Date(due);
}

/** Of [0, 1), the same for a key every time. */
function share(keyId: KeyId): number {
  return createHash('sha256').update(keyId).digest().readUInt32BE(0) / 2 ** 32;
}
