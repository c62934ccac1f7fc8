// A person's private key for somebody else's hand: encrypted to the certificate that the request names, and readable by nobody on
// the way. What left the service is out of its reach for good.

import { type KeyId, parseKeyId } from '@sealpost/core';
import { KeyFault } from '@sealpost/service';
import { type Certificate, encryptObject, mayEncryptTo, parseCertificate } from '@sealpost/smime';
import { z } from 'zod';
import type { OpenStore } from '../open-store.ts';
import type { StoredKey } from '../store/key-store.ts';
import type { Act } from './act.ts';

const form = z.strictObject({
  keyId: z.string().min(7).max(1024),
  /** Certificate of whoever gets it, DER. */
  recipient: z.base64().max(16 * 1024),
});

export const keyExport: Act<z.output<typeof form>> = {
  form,
  requestedBy: ['key-admin'],
  describe: ({ keyId, recipient }) =>
    `give out the private key ${keyId}, encrypted to the certificate ${recipientOf(recipient).fingerprint}`,
  subject: ({ keyId, recipient }, store) => ({
    tenant: parseKeyId(keyId).tenant,
    key: store.auditKey(keyId),
    certificate: recipientOf(recipient).fingerprint,
  }),
  async check({ keyId, recipient }, { store, now }) {
    await exportable(keyId, store);
    if (!mayEncryptTo(recipientOf(recipient), now).ok) throw new KeyFault('recipient-unusable');
  },
  async run({ keyId, recipient }, { store }) {
    const key = await exportable(keyId, store);
    // CMS AuthEnvelopedData around PKCS#8 (RFC 5083, RFC 5958).
    const cms = store.keys.withSecret(key, (pkcs8) => encryptObject(pkcs8, recipientOf(recipient)));
    return { keyId, cms: cms.toString('base64') };
  },
};

/** Only what belongs to a person: the gateway's own keys are of use nowhere else. */
async function exportable(keyId: string, store: OpenStore): Promise<StoredKey> {
  const { use } = parseKeyId(keyId);
  const key = await store.keys.get(keyId as KeyId);
  if (!key || (use !== 'signing' && use !== 'decryption')) throw new KeyFault('not-found');
  if (key.wrapped.length === 0) throw new KeyFault('key-state');
  return key;
}

function recipientOf(der: string): Certificate {
  try {
    return parseCertificate(Buffer.from(der, 'base64'));
  } catch {
    throw new KeyFault('recipient-unusable');
  }
}
