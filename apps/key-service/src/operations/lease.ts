// A user's private key for one worker and a short time, if the job justifies it: a genuine ticket for the crypto stage, exactly
// the envelope that it names, and a key of somebody whom this mail is from (to sign) or to (to decrypt). Anything else is
// refused alike, so that a worker cannot find out which keys exist.

import { decodeEnvelope, type Envelope, envelopeHash, fail, isOwnerOf, type KeyId, parseKeyId } from '@sealpost/core';
import { keyStates } from '@sealpost/service';
import type { Operation } from './operation.ts';
import { handOver } from './spool.ts';
import { namedBy, verifiedTicket } from './tickets.ts';

export const lease: Operation<'lease'> = {
  subject({ instance, keyId, ticket }, store) {
    return { instance, key: store.auditKey(keyId), ...namedBy(ticket) };
  },
  run({ instance, keyId, ephemeral, ticket: bytes, envelope: encoded }, call) {
    const { store, now, caller } = call;
    const ticket = verifiedTicket(bytes, 'crypto', store.tickets, now);
    const envelope: Envelope = decodeEnvelope(encoded);
    if (!envelopeHash(envelope).equals(ticket.envelopeHash)) throw fail('envelope-mismatch');
    const name = parseKeyId(keyId);
    if (name.tenant !== ticket.tenant || !isOwnerOf(name, ticket.direction, envelope)) throw fail('key-denied');
    const key = store.keys.get(keyId as KeyId);
    if (!key || !keyStates[key.state][name.use === 'signing' ? 'signs' : 'opens']) throw fail('key-denied');
    const lifeMs = store.limits.leaseMs;
    store.leases.take(caller.fingerprint, new Date(now.getTime() + lifeMs), now);
    return handOver(key, { instance, ephemeral, purpose: 'lease', lifeMs }, call);
  },
};
