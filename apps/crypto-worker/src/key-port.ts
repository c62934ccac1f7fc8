// The engine's key port over the key service. A key is leased where it may be, and one lease serves all mail of its owner until it
// ends; a key that never leaves is used where it is. The engine does not see which. An outage of the key service passes through the
// engine as it is, so it is never mistaken for mail that cannot be opened.

import { codeOf, fail, type KeyId, type KeyJustification, type KeyService } from '@sealpost/core';
import { type Certificate, type KeyPort, localKeys } from '@sealpost/smime';
import type { Loaded } from './load.ts';

/** A certificate whose private key the key service holds. */
export interface OwnCertificate {
  readonly certificate: Certificate;
  readonly keyId: KeyId;
}

type Keys = Pick<KeyService, 'lease' | 'sign' | 'openRecipients'>;

/** A port for `own` keys only; each is asked for when the engine needs it. Errors: those of `KeyService`. */
export function ownKeys(
  own: readonly OwnCertificate[],
  keys: Keys,
  { ticketBytes: ticket, envelope }: Pick<Loaded, 'ticketBytes' | 'envelope'>,
): KeyPort {
  async function portOf({ certificate }: { readonly certificate: Certificate }): Promise<KeyPort> {
    const entry = own.find((each) => each.certificate.fingerprint === certificate.fingerprint);
    if (!entry) return localKeys([]);
    const justification = { ticket, envelope };
    try {
      const { privateKey } = await keys.lease(entry.keyId, justification);
      return localKeys([{ certificate, privateKey }]);
    } catch (error) {
      if (codeOf(error) !== 'key-in-place') throw error;
      return keyInPlace(entry.keyId, keys, justification);
    }
  }
  return {
    sign: async (request) => (await portOf(request)).sign(request),
    openRecipient: async (request) => (await portOf(request)).openRecipient(request),
  };
}

function keyInPlace(keyId: KeyId, keys: Keys, justification: KeyJustification): KeyPort {
  return {
    async sign({ certificate, algorithm, signedAttributes }) {
      const item = { certificate: certificate.fingerprint, ...algorithm, signedAttributes };
      const [signature] = await keys.sign(keyId, justification, [item]);
      if (!signature) throw fail('internal');
      return signature;
    },
    async openRecipient({ recipientInfo, keyLength }) {
      const [contentKey] = await keys.openRecipients(keyId, justification, [{ recipientInfo, keyLength }]);
      return contentKey;
    },
  };
}
