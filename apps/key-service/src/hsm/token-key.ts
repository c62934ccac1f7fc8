// A user's key in a token, put to the two uses that the engine knows: signatures over signed attributes, content keys of
// RecipientInfos. What a token cannot do (EdDSA, post-quantum, other hashes) is refused before it is asked.

import { fail } from '@sealpost/core';
import { KeyFault } from '@sealpost/service';
import type { SignatureAlgorithm, TokenKey } from '@sealpost/smime';
import type { Hsm, HsmHash, HsmKeyName, HsmSignScheme } from './hsm.ts';

const hashLengths: Readonly<Record<HsmHash, number>> = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 };

/** Errors: `key-denied` for an algorithm that tokens do not do; faults of the token. */
export async function signInToken(
  hsm: Hsm,
  name: HsmKeyName,
  algorithm: SignatureAlgorithm,
  octets: Buffer,
): Promise<Buffer> {
  return await hsm.sign(name, schemeOf(algorithm), octets);
}

/** `secret`: kept beside the name of the key, see open-with-token.ts of the engine. */
export function tokenKey(hsm: Hsm, name: HsmKeyName, secret: Buffer): TokenKey {
  return {
    secret,
    decryptPkcs1: (encryptedKey) => orNothing(hsm.decrypt(name, { kind: 'rsa-pkcs1' }, encryptedKey)),
    async decryptOaep(encryptedKey, { digest, maskDigest, label }) {
      if (!isHash(digest) || !isHash(maskDigest)) return undefined;
      const cipher = {
        kind: 'rsa-oaep',
        hash: digest,
        mgfHash: maskDigest,
        ...(label.length > 0 ? { label } : {}),
      } as const;
      return await orNothing(hsm.decrypt(name, cipher, encryptedKey));
    },
    derive: (point) => orNothing(hsm.derive(name, point)),
  };
}

/** A token that will not do this with this key opens nothing; one that is not to be had is an error. */
async function orNothing(asked: Promise<Buffer | undefined>): Promise<Buffer | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof KeyFault && error.code === 'hsm-refused') return undefined;
    throw error;
  }
}

function schemeOf({ scheme, digest }: SignatureAlgorithm): HsmSignScheme {
  if (isHash(digest)) {
    if (scheme === 'rsa-pkcs1' || scheme === 'ecdsa') return { kind: scheme, hash: digest };
    if (scheme === 'rsa-pss') return { kind: 'rsa-pss', hash: digest, saltLength: hashLengths[digest] };
  }
  throw fail('key-denied');
}

function isHash(name: string): name is HsmHash {
  return Object.hasOwn(hashLengths, name);
}
