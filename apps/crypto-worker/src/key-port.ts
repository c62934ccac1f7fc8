// The engine's key port over leased keys. One lease serves all mail of its owner until it ends; the client of the key service keeps
// it. An outage of the key service passes through the engine as it is, so it is never mistaken for mail that cannot be opened.

import type { KeyId, KeyService } from '@sealpost/core';
import { type Certificate, type KeyPort, localKeys } from '@sealpost/smime';
import type { Loaded } from './load.ts';

/** A certificate whose private key the key service holds. */
export interface OwnCertificate {
  readonly certificate: Certificate;
  readonly keyId: KeyId;
}

/** A port for `own` keys only; each is leased when the engine asks for it. Errors: those of `KeyService.lease`. */
export function leasedKeys(
  own: readonly OwnCertificate[],
  keys: Pick<KeyService, 'lease'>,
  { ticketBytes, envelope }: Loaded,
): KeyPort {
  async function keysFor({ certificate }: { readonly certificate: Certificate }): Promise<KeyPort> {
    const entry = own.find((each) => each.certificate.fingerprint === certificate.fingerprint);
    if (!entry) return localKeys([]);
    const { privateKey } = await keys.lease(entry.keyId, { ticket: ticketBytes, envelope });
    return localKeys([{ certificate, privateKey }]);
  }
  return {
    sign: async (request) => (await keysFor(request)).sign(request),
    openRecipient: async (request) => (await keysFor(request)).openRecipient(request),
  };
}
