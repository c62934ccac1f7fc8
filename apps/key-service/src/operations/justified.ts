// Whether a message justifies the use of a user's key: a genuine ticket for the crypto stage, exactly the envelope that it names,
// and a key of somebody whom this mail is from (to sign) or to (to decrypt). Anything else is refused alike, so that a worker
// cannot find out which keys exist.

import { decodeEnvelope, type Envelope, envelopeHash, fail, isOwnerOf, type KeyId, parseKeyId } from '@sealpost/core';
import { mayBeUsed } from '../lifecycle/move-key.ts';
import type { OpenStore } from '../open-store.ts';
import type { StoredKey } from '../store/key-store.ts';
import type { AuditSubject, Call } from './operation.ts';
import { namedBy, verifiedTicket } from './tickets.ts';

export interface Justification {
  readonly instance: string;
  readonly keyId: string;
  readonly ticket: Buffer;
  readonly envelope: Buffer;
}

/** What the audit record of a use says. */
export function useSubject({ instance, keyId, ticket }: Justification, store: OpenStore): AuditSubject {
  return { instance, key: store.auditKey(keyId), ...namedBy(ticket) };
}

/** The key. Errors: those of a ticket, `envelope-mismatch`, `key-denied`, `lease-overloaded`. */
export async function justifiedKey(
  { keyId, ticket: bytes, envelope: encoded }: Justification,
  { store, now, caller }: Call,
): Promise<StoredKey> {
  store.leases.revocations.assertTrusted(caller.fingerprint, now);
  const ticket = verifiedTicket(bytes, 'crypto', store.tickets, now);
  const envelope: Envelope = decodeEnvelope(encoded);
  if (!envelopeHash(envelope).equals(ticket.envelopeHash)) throw fail('envelope-mismatch');
  const name = parseKeyId(keyId);
  if (name.tenant !== ticket.tenant || !isOwnerOf(name, ticket.direction, envelope)) throw fail('key-denied');
  const key = await store.keys.get(keyId as KeyId);
  if (!key || !mayBeUsed(key)) throw fail('key-denied');
  return key;
}
