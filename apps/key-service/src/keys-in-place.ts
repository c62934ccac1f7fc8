// A user's key put to use inside the service: signatures over signed attributes that were judged before, content keys out of
// RecipientInfos. One that opens nothing is the same null whatever the cause.

import {
  type Certificate,
  certificateFromDer,
  openRecipientInfo,
  type SignKeyRequest,
  signOctets,
} from '@sealpost/smime';
import type { OpenStore } from './open-store.ts';
import type { StoredKey } from './store/key-store.ts';
import { privateKeyOf } from './vault/wrap-key.ts';

export interface Opening {
  readonly recipientInfo: Buffer;
  readonly keyLength: number;
}

type Stores = Pick<OpenStore, 'keys' | 'certificates'>;

/** The certificates that were issued for this key. */
export function certificatesOf(
  { keyId, name }: StoredKey,
  { certificates }: Pick<Stores, 'certificates'>,
): Certificate[] {
  return certificates
    .ofAddress(name.tenant, name.identity)
    .filter((record) => record.keyId === keyId)
    .map((record) => certificateFromDer(record.certificate));
}

export async function signWith(key: StoredKey, wanted: readonly SignKeyRequest[], { keys }: Stores): Promise<Buffer[]> {
  return keys.withSecret(key, (secret) => {
    const privateKey = privateKeyOf(secret);
    return wanted.map(({ algorithm, signedAttributes }) => signOctets(privateKey, algorithm, signedAttributes));
  });
}

/** Content keys of exactly the length that was asked for, or null. */
export async function openWith(key: StoredKey, items: readonly Opening[], stores: Stores): Promise<(Buffer | null)[]> {
  const certificates = certificatesOf(key, stores);
  return stores.keys.withSecret(key, (secret) => {
    const privateKey = privateKeyOf(secret);
    return items.map(({ recipientInfo, keyLength }) => {
      for (const certificate of certificates) {
        const opened = openRecipientInfo(privateKey, certificate, recipientInfo, keyLength);
        if (opened?.length === keyLength) return opened;
      }
      return null;
    });
  });
}
