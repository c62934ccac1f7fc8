// Step `protect`: sign, then encrypt (RFC 8551 §3.7), for one group. All of its recipients get the same bytes. Whatever goes wrong,
// nothing leaves unprotected.

import { fail } from '@sealpost/core';
import { protect, SmimeError } from '@sealpost/smime';
import { ownKeys } from './key-port.ts';
import { type Outgoing, outgoing } from './outgoing.ts';
import type { ResolvedProtection } from './resolve.ts';
import type { Worker } from './worker.ts';

/** Errors: `protection-failed`, and those of a lease. */
export async function protectGroup(worker: Worker, resolved: ResolvedProtection): Promise<Outgoing> {
  const { message, group, signer, encryptTo } = resolved;
  try {
    const bytes = await protect(message.message, {
      keys: ownKeys(signer ? [signer] : [], worker.keys, message),
      ...(signer ? { sign: { certificate: signer.certificate, chain: signer.chain } } : {}),
      ...(encryptTo.length > 0 ? { encrypt: { recipients: encryptTo } } : {}),
      now: signingTime(worker, resolved),
    });
    return outgoing(message, group, bytes);
  } catch (error) {
    throw error instanceof SmimeError ? fail('protection-failed', error) : error;
  }
}

/**
 * When the ingress took the mail: its Date field is about then, and readers distrust a signature made at another time
 * (CVE-2023-50761). Mail that waited for a certificate is signed when there was one.
 */
function signingTime({ clock }: Worker, { message, signer }: ResolvedProtection): Date {
  const isCertified = !signer || signer.certificate.notBefore <= message.acceptedAt;
  return isCertified ? message.acceptedAt : clock.now();
}
