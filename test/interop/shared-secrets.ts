// Wycheproof's vectors for what two sides share: ECDH, X25519, X448 by the step of the engine that reads the sender's key, ML-KEM by a whole
// KEMRecipientInfo whose content key is wrapped under the secret that the vector expects. The engine derives with contexts of its own
// (RFC 5753, RFC 8418), which no HKDF vector has: these go to the function of node:crypto that it calls.

import { createPrivateKey, createPublicKey, hkdfSync, type KeyObject } from 'node:crypto';
import { originatorOf, sharedSecret } from '../../packages/smime/src/cms/agreement.ts';
import { HKDF_SHA256, WRAPS } from '../../packages/smime/src/cms/algorithms.ts';
import { openEncapsulation } from '../../packages/smime/src/cms/encapsulation.ts';
import { encapsulatedKek, wrapKey } from '../../packages/smime/src/cms/key-wrap.ts';
import { readAlgorithm } from '../../packages/smime/src/cms/signed-data.ts';
import { SmimeError } from '../../packages/smime/src/errors.ts';
import { enter, readDer, readOctetBits, TAG } from '../../packages/smime/src/pki/der.ts';
import { algorithmIdentifier } from '../../packages/smime/src/pki/der-write.ts';
import { type Group, hex, type Judge } from './vector.ts';

/** RFC 5912 names → Node's, with the octets of a private key. */
const CURVES: Readonly<Record<string, readonly [name: string, size: number]>> = {
  secp256r1: ['prime256v1', 32],
  secp384r1: ['secp384r1', 48],
  secp521r1: ['secp521r1', 66],
  brainpoolP256r1: ['brainpoolP256r1', 32],
  brainpoolP384r1: ['brainpoolP384r1', 48],
};

export function ecdh({ curve = '' }: Group): ReturnType<Judge> {
  const [namedCurve, size] = CURVES[curve] ?? ['', 0];
  return ({ public: spki = '', private: scalar = '', shared = '', result }) => {
    const number = hex(scalar.padStart(2 * size, '0').slice(-2 * size));
    const key = createPrivateKey({ key: number, format: 'raw-private', asymmetricKeyType: 'ec', namedCurve });
    return reaches(key, readOriginator(hex(spki)), shared, result);
  };
}

export function xdh({ curve = '' }: Group): ReturnType<Judge> {
  const [asymmetricKeyType, oid] =
    curve === 'curve448' ? (['x448', '1.3.101.111'] as const) : (['x25519', '1.3.101.110'] as const);
  const algorithm = readAlgorithm(readDer(algorithmIdentifier(oid), TAG.sequence));
  return ({ public: publicKey, private: scalar, shared = '', result }) => {
    const key = createPrivateKey({ key: hex(scalar), format: 'raw-private', asymmetricKeyType });
    return reaches(key, { algorithm, publicKey: hex(publicKey) }, shared, result);
  };
}

type Originator = NonNullable<Parameters<typeof originatorOf>[1]['originator']>;

/** The sender's key as SPKI, which CMS takes apart in the same way. Undefined when it is none in DER. */
function readOriginator(spki: Buffer): Originator | undefined {
  try {
    const cursor = enter(readDer(spki, TAG.sequence));
    return {
      algorithm: readAlgorithm(cursor.next(TAG.sequence)),
      publicKey: readOctetBits(cursor.next(TAG.bitString)),
    };
  } catch (error) {
    if (error instanceof SmimeError) return undefined;
    throw error;
  }
}

/** For an invalid key any secret is one too many. */
function reaches(key: KeyObject, originator: Originator | undefined, shared: string, result: string): boolean {
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const theirs = originatorOf(spki, { originator });
  const secret = theirs && sharedSecret(key, theirs);
  return secret !== undefined && (result === 'invalid' || secret.equals(hex(shared)));
}

export function mlKem({ parameterSet }: Group): ReturnType<Judge> {
  const wrap = WRAPS['aes-256-wrap'];
  const contentKey = Buffer.alloc(32, 7);
  const idOf = (oid: string) => readAlgorithm(readDer(algorithmIdentifier(oid), TAG.sequence));
  const wrapId = idOf(wrap.oid);
  return ({ seed, c, K }) => {
    const kek = encapsulatedKek('sha256', hex(K), wrapId.bytes, wrap.keyLength);
    try {
      const asymmetricKeyType = String(parameterSet).toLowerCase() as 'ml-kem-768';
      const key = createPrivateKey({ key: hex(seed), format: 'raw-seed', asymmetricKeyType });
      const opened = openEncapsulation(key, {
        kind: 'kem',
        id: { kind: 'key-id', keyId: Buffer.alloc(0) },
        kem: idOf('2.16.840.1.101.3.4.4.2'),
        ciphertext: hex(c),
        kdf: idOf(HKDF_SHA256),
        kekLength: wrap.keyLength,
        userKeyingMaterial: undefined,
        wrap: wrapId,
        encryptedKey: wrapKey(wrap, kek, contentKey),
      });
      return opened?.equals(contentKey) ?? false;
    } catch {
      // A seed or a ciphertext of another length; the caller in the engine takes that for a key that does not fit.
      return false;
    }
  };
}

export function hkdf(_: Group, file: string): ReturnType<Judge> {
  const digest = /hkdf_(sha\d+)/.exec(file)?.[1] ?? '';
  return ({ ikm, salt, info, size, okm }) => {
    try {
      return Buffer.from(hkdfSync(digest, hex(ikm), hex(salt), hex(info), Number(size))).equals(hex(okm));
    } catch {
      return false;
    }
  };
}
