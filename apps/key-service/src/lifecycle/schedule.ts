// When a key version's successor is due: by the period of its use, spread by a share that depends on the key alone, so that keys
// that were made together do not change together; and always well before its certificate ends.

import { createHash } from 'node:crypto';
import type { KeyId, KeyUse } from '@sealpost/core';

const dayMs = 86_400_000;

/** Days that a version is in use, and at most so many earlier by jitter. */
interface Rotation {
  readonly days: number;
  readonly jitterDays: number;
}

/** A certificate of two years is renewed after one; a spool key limits what one stolen key reads. Authorities do not rotate. */
const rotations: Readonly<Partial<Record<KeyUse, Rotation>>> = {
  signing: { days: 365, jitterDays: 30 },
  decryption: { days: 365, jitterDays: 30 },
  spool: { days: 90, jitterDays: 10 },
  mac: { days: 365, jitterDays: 30 },
};

/** How long the version before stays active: longer than mail may wait, whose plan names its certificate. */
export const overlapMs = 30 * dayMs;

/** Undefined for what does not rotate. `certificateEnds`: notAfter of its certificate, where it has one. */
export function nextRotation(
  { keyId, use, createdAt }: { readonly keyId: KeyId; readonly use: KeyUse; readonly createdAt: Date },
  certificateEnds?: Date,
): Date | undefined {
  const rotation = rotations[use];
  if (!rotation) return undefined;
  const due = createdAt.getTime() + (rotation.days - share(keyId) * rotation.jitterDays) * dayMs;
  return new Date(Math.min(due, (certificateEnds?.getTime() ?? Number.POSITIVE_INFINITY) - overlapMs));
}

/** Of [0, 1), the same for a key every time. */
function share(keyId: KeyId): number {
  return createHash('sha256').update(keyId).digest().readUInt32BE(0) / 2 ** 32;
}
