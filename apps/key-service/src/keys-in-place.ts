// A user's key put to use inside the service: signatures over signed attributes that were judged before, content keys out of
// RecipientInfos. One that opens nothing is the same null whatever the cause.

import { KeyFault } from '@sealpost/service';
import {
  type Certificate,
  certificateFromDer,
  openRecipientInfo,
  openRecipientWith,
  type SignKeyRequest,
  signOctets,
} from '@sealpost/smime';
import type { Hsm, HsmKeyName } from './hsm/hsm.ts';
import { signInToken, tokenKey } from './hsm/token-key.ts';
import type { OpenStore } from './open-store.ts';
import type { StoredKey } from './store/key-store.ts';
import { privateKeyOf } from './vault/wrap-key.ts';

export interface Opening {
  readonly recipientInfo: Buffer;
  readonly keyLength: number;
}

type Stores = Pick<OpenStore, 'keys' | 'certificates' | 'hsm'>;

/** The certificates that were issued for this key. */
export async function certificatesOf(
  { keyId, name }: StoredKey,
  { certificates }: Pick<Stores, 'certificates'>,
): Promise<Certificate[]> {
  const records = await certificates.ofAddress(name.tenant, name.identity);
  return records.filter((record) => record.keyId === keyId).map((record) => certificateFromDer(record.certificate));
}

export async function signWith(key: StoredKey, wanted: readonly SignKeyRequest[], stores: Stores): Promise<Buffer[]> {
  const { keys } = stores;
  if (key.token) {
    const [hsm, name] = [hsmOf(stores), key.token];
    return await Promise.all(
      wanted.map(({ algorithm, signedAttributes }) => signInToken(hsm, name, algorithm, signedAttributes)),
    );
  }
  return keys.withSecret(key, (secret) => {
    const privateKey = privateKeyOf(secret);
    return wanted.map(({ algorithm, signedAttributes }) => signOctets(privateKey, algorithm, signedAttributes));
  });
}

/** Content keys of exactly the length that was asked for, or null. */
export async function openWith(key: StoredKey, items: readonly Opening[], stores: Stores): Promise<(Buffer | null)[]> {
  const certificates = await certificatesOf(key, stores);
  if (key.token) return await openInToken(key, key.token, items, certificates, stores);
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

async function openInToken(
  key: StoredKey,
  name: HsmKeyName,
  items: readonly Opening[],
  certificates: readonly Certificate[],
  stores: Stores,
): Promise<(Buffer | null)[]> {
  const secret = stores.keys.secretBeside(key);
  const token = tokenKey(hsmOf(stores), name, secret);
  try {
    const opened: (Buffer | null)[] = [];
    for (const { recipientInfo, keyLength } of items) {
      let found: Buffer | undefined;
      for (const certificate of certificates) {
        found ??= await openRecipientWith(token, certificate, recipientInfo, keyLength);
      }
      opened.push(found?.length === keyLength ? found : null);
    }
    return opened;
  } finally {
    secret.fill(0);
  }
}

/** Fault: `hsm-unavailable`. */
function hsmOf({ hsm }: Stores): Hsm {
  if (!hsm) throw new KeyFault('hsm-unavailable');
  return hsm;
}
