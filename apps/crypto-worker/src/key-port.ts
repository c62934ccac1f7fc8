// The engine's key port over leased keys. An outage of the key service passes through the engine as it is (the port's contract), so
// it is never mistaken for mail that cannot be opened.

import { fail, isOwnerOf, type KeyId, type KeyJustification, parseKeyId } from '@sealpost/core';
import { type Certificate, type KeyPort, localKeys } from '@sealpost/smime';
import type { Leases } from './leases.ts';
import type { Loaded } from './load.ts';

/** A certificate whose private key the key service holds. */
export interface OwnCertificate {
  readonly certificate: Certificate;
  readonly keyId: KeyId;
}

/** A port for `own` keys only; each is leased when the engine first asks for it. Errors: `key-denied`, those of a lease. */
export function leasedKeys(own: readonly OwnCertificate[], leases: Leases, message: Loaded): KeyPort {
  const justification: KeyJustification = { ticket: message.ticketBytes, envelope: message.envelope };

  async function keysFor({ certificate }: { readonly certificate: Certificate }): Promise<KeyPort> {
    const entry = own.find((each) => each.certificate.fingerprint === certificate.fingerprint);
    if (!entry) return localKeys([]);
    // A lease may be alive for another message: whose mail this is counts each time.
    if (!isOwnerOf(parseKeyId(entry.keyId), message.ticket.direction, message.envelope)) throw fail('key-denied');
    return localKeys([{ certificate, privateKey: await leases.privateKey(entry.keyId, justification) }]);
  }
  return {
    sign: async (request) => (await keysFor(request)).sign(request),
    openRecipient: async (request) => (await keysFor(request)).openRecipient(request),
  };
}
