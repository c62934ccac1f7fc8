// The request for a certificate that an authority elsewhere issues (PKCS #10, RFC 2986). The key that waits for it proves that it is
// here: in the store or in the token, it signs this request, which names its owner's address, and nothing else.

import { parseKeyId } from '@sealpost/core';
import { KeyFault } from '@sealpost/service';
import { importPublicKey, type PreparedRequest, prepareRequest, SmimeError, signOctets } from '@sealpost/smime';
import { profileOf } from '../authority/tenant-authority.ts';
import { signInToken } from '../hsm/token-key.ts';
import { certificateOf, twinsOf } from '../lifecycle/rotate-keys.ts';
import type { OpenStore } from '../open-store.ts';
import type { StoredKey } from '../store/key-store.ts';
import { privateKeyOf } from '../vault/wrap-key.ts';
import { foundKey } from './keys.ts';
import type { Operation } from './operation.ts';

/** RFC 5280 upper bound of a common name. */
const maxCommonName = 64;

export const keysCsr: Operation<'keys-csr'> = {
  subject: ({ keyId }, store) => ({ tenant: parseKeyId(keyId).tenant, key: store.auditKey(keyId) }),
  async run({ keyId }, { store }) {
    const key = await foundKey(keyId, store);
    if (key.state !== 'pre-active') throw new KeyFault('key-state');
    const prepared = await prepare(key, store);
    return { request: prepared.finish(await signed(key, prepared, store)) };
  },
};

async function prepare(key: StoredKey, store: OpenStore): Promise<PreparedRequest> {
  const { tenant, identity, use } = key.name;
  const inUse = await store.keys.current(tenant, identity, use);
  const before = inUse && (await certificateOf(inUse, store))?.certificate;
  const uses = (await twinsOf(key, store)).filter(({ state }) => state === 'pre-active');
  try {
    return prepareRequest({
      subject: before ? { of: before } : { commonName: identity.slice(0, maxCommonName) },
      addresses: [identity],
      publicKey: importPublicKey(key.spki),
      profile: profileOf(uses.map(({ name }) => name.use)),
    });
  } catch (error) {
    if (error instanceof SmimeError) throw new KeyFault('key-cannot-sign');
    throw error;
  }
}

/** Faults: those of the token. */
async function signed(key: StoredKey, { algorithm, octets }: PreparedRequest, { keys, hsm }: OpenStore) {
  if (!key.token) return keys.withWaiting(key, (secret) => signOctets(privateKeyOf(secret), algorithm, octets));
  if (!hsm) throw new KeyFault('hsm-unavailable');
  return await signInToken(hsm, key.token, algorithm, octets);
}
