// A PKCS#11 token by pkcs11js, as the module's process uses it: finds keys, signs, decrypts, derives. Everything is synchronous;
// handles stay here.

import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import type { HsmCipher, HsmHash, HsmKey, HsmKeyName, HsmSignScheme } from './hsm.ts';
import { coordinateLength, derSignature, digestInfo, ecPublicKey, rsaPublicKey } from './token-forms.ts';

type Pkcs11 = typeof import('pkcs11js');
type Handle = import('pkcs11js').Handle;

/** CKR_PIN_INCORRECT. */
export const pinIncorrect = 0xa0;
/**
 * Return values after which the session is of no more use: device, session, token, login, a handle of a key that went away, an
 * operation that did not end.
 */
const fatal: readonly number[] = [0x02, 0x30, 0x31, 0x32, 0x60, 0x82, 0x90, 0xb0, 0xb3, 0xe0, 0xe1, 0x101, 0x190];
/** The key or the token cannot do it at all: no such function, key of a wrong type or not permitted, no such mechanism. */
const refused: readonly number[] = [0x54, 0x63, 0x68, 0x70];
/** Longest signature, plain text or shared secret: an RSA-16384 block. */
const maxOutput = 2_048;
/** Handles are kept: finding a key costs a token more than using it. */
const maxKnown = 4_096;

export interface Token {
  find(name: HsmKeyName): HsmKey;
  sign(name: HsmKeyName, scheme: HsmSignScheme, message: Buffer): Buffer;
  decrypt(name: HsmKeyName, cipher: HsmCipher, ciphertext: Buffer): Buffer | undefined;
  encrypt(name: HsmKeyName, cipher: HsmCipher, plain: Buffer): Buffer;
  derive(name: HsmKeyName, publicPoint: Buffer): Buffer | undefined;
}

interface Found extends HsmKey {
  readonly handle: Handle;
}

class KeyMissing extends Error {
  readonly code = 'hsm-key-missing';
}

/** Whether the session is lost. */
export function isFatal(error: unknown): boolean {
  return fatal.includes(codeOf(error));
}

function codeOf(error: unknown): number {
  return Number((error as { code?: unknown }).code);
}

/** Loads the module and logs in. Throws what the module says, or an Error with a sentence. */
export function openToken(modulePath: string, tokenLabel: string, pin: string): Token {
  const pkcs11 = load();
  const api = new pkcs11.PKCS11();
  api.load(modulePath);
  api.C_Initialize();
  const slots = api.C_GetSlotList(true).filter((slot) => api.C_GetTokenInfo(slot).label.trimEnd() === tokenLabel);
  const [slot] = slots;
  if (!slot || slots.length > 1) throw new Error('no token, or more than one, has the label');
  const session = api.C_OpenSession(slot, pkcs11.CKF_SERIAL_SESSION);
  api.C_Login(session, pkcs11.CKU_USER, pin);
  const known = new Map<string, Found>();

  function objects(template: import('pkcs11js').Template): Handle[] {
    api.C_FindObjectsInit(session, template);
    try {
      return api.C_FindObjects(session, 2);
    } finally {
      api.C_FindObjectsFinal(session);
    }
  }

  function attribute(handle: Handle, type: number): Buffer {
    const [found] = api.C_GetAttributeValue(session, handle, [{ type }]);
    if (!Buffer.isBuffer(found?.value)) throw new Error('the token does not tell');
    return found.value;
  }

  function locate(name: HsmKeyName): Found {
    const called = JSON.stringify([name.label, name.id]);
    const cached = known.get(called);
    if (cached) return cached;
    const named = [
      ...(name.label === undefined ? [] : [{ type: pkcs11.CKA_LABEL, value: name.label }]),
      ...(name.id === undefined ? [] : [{ type: pkcs11.CKA_ID, value: Buffer.from(name.id, 'hex') }]),
    ];
    if (named.length === 0) throw new KeyMissing();
    const handles = [pkcs11.CKO_PRIVATE_KEY, pkcs11.CKO_SECRET_KEY].flatMap((type) =>
      objects([{ type: pkcs11.CKA_CLASS, value: type }, ...named]),
    );
    const [handle] = handles;
    if (!handle || handles.length > 1) throw new KeyMissing();
    const found = describe(handle);
    if (known.size >= maxKnown) known.clear();
    known.set(called, found);
    return found;
  }

  /** Of the type that a scheme is for: an operation that was begun with another would have to be ended. */
  function locateFor(name: HsmKeyName, kind: string): Found {
    const found = locate(name);
    const type = kind === 'ecdsa' || kind === 'ecdh' ? 'ec' : kind === 'aes-cbc' ? 'aes' : 'rsa';
    if (found.type !== type) throw new Error('a key of another type');
    return found;
  }

  function describe(handle: Handle): Found {
    const id = attribute(handle, pkcs11.CKA_ID);
    const base = {
      handle,
      label: attribute(handle, pkcs11.CKA_LABEL).toString('utf8'),
      id: id.toString('hex'),
      extractable: attribute(handle, pkcs11.CKA_EXTRACTABLE)[0] === 1,
    };
    switch (attribute(handle, pkcs11.CKA_KEY_TYPE).readUInt32LE(0)) {
      case pkcs11.CKK_RSA: {
        const [n, e] = [attribute(handle, pkcs11.CKA_MODULUS), attribute(handle, pkcs11.CKA_PUBLIC_EXPONENT)];
        return { ...base, type: 'rsa', publicKey: rsaPublicKey(n, e) };
      }
      case pkcs11.CKK_EC: {
        // A private EC key does not tell its point; the public object with the same id does.
        const [publicObject] = objects([
          { type: pkcs11.CKA_CLASS, value: pkcs11.CKO_PUBLIC_KEY },
          { type: pkcs11.CKA_ID, value: id },
        ]);
        if (!publicObject) throw new KeyMissing();
        const [params, point] = [attribute(handle, pkcs11.CKA_EC_PARAMS), attribute(publicObject, pkcs11.CKA_EC_POINT)];
        return { ...base, type: 'ec', publicKey: ecPublicKey(params, point) };
      }
      case pkcs11.CKK_AES:
        return { ...base, type: 'aes' };
      default:
        throw new KeyMissing();
    }
  }

  function hashParameters(hash: HsmHash, mgfHash: HsmHash) {
    const hashes = {
      sha1: pkcs11.CKM_SHA_1,
      sha256: pkcs11.CKM_SHA256,
      sha384: pkcs11.CKM_SHA384,
      sha512: pkcs11.CKM_SHA512,
    };
    const masks = {
      sha1: pkcs11.CKG_MGF1_SHA1,
      sha256: pkcs11.CKG_MGF1_SHA256,
      sha384: pkcs11.CKG_MGF1_SHA384,
      sha512: pkcs11.CKG_MGF1_SHA512,
    };
    return { hashAlg: hashes[hash], mgf: masks[mgfHash] };
  }

  function mechanismOf(cipher: HsmCipher) {
    switch (cipher.kind) {
      case 'rsa-pkcs1':
        return { mechanism: pkcs11.CKM_RSA_PKCS };
      case 'rsa-oaep': {
        const label = cipher.label === undefined ? {} : { sourceData: cipher.label };
        const hashes = hashParameters(cipher.hash, cipher.mgfHash);
        // CKZ_DATA_SPECIFIED.
        const parameter = { type: pkcs11.CK_PARAMS_RSA_OAEP, source: 1, ...hashes, ...label };
        return { mechanism: pkcs11.CKM_RSA_PKCS_OAEP, parameter };
      }
      case 'aes-cbc':
        return { mechanism: pkcs11.CKM_AES_CBC, parameter: cipher.iv };
    }
  }

  /** What the token finds wrong with the data; what it finds wrong with itself goes on. */
  function orUndefined<T>(run: () => T): T | undefined {
    try {
      return run();
    } catch (error) {
      if (isFatal(error) || refused.includes(codeOf(error))) throw error;
      return undefined;
    }
  }

  return {
    find(name) {
      const { handle: _, ...key } = locate(name);
      return key;
    },
    sign(name, scheme, message) {
      const { handle, publicKey } = locateFor(name, scheme.kind);
      const digest = createHash(scheme.hash).update(message).digest();
      const output = Buffer.alloc(maxOutput);
      switch (scheme.kind) {
        case 'rsa-pkcs1':
          api.C_SignInit(session, { mechanism: pkcs11.CKM_RSA_PKCS }, handle);
          return api.C_Sign(session, digestInfo(scheme.hash, digest), output);
        case 'rsa-pss': {
          const hashes = hashParameters(scheme.hash, scheme.hash);
          const parameter = { type: pkcs11.CK_PARAMS_RSA_PSS, saltLen: scheme.saltLength, ...hashes };
          api.C_SignInit(session, { mechanism: pkcs11.CKM_RSA_PKCS_PSS, parameter }, handle);
          return api.C_Sign(session, digest, output);
        }
        case 'ecdsa': {
          api.C_SignInit(session, { mechanism: pkcs11.CKM_ECDSA }, handle);
          // FIPS 186-5 §6.4: the leftmost bits, as many as the order has; tokens differ in cutting by themselves.
          const length = coordinateLength(publicKey);
          return derSignature(api.C_Sign(session, digest.subarray(0, length), output));
        }
      }
    },
    decrypt(name, cipher, ciphertext) {
      const { handle } = locateFor(name, cipher.kind);
      api.C_DecryptInit(session, mechanismOf(cipher), handle);
      return orUndefined(() =>
        api.C_Decrypt(session, ciphertext, Buffer.alloc(Math.max(maxOutput, ciphertext.length))),
      );
    },
    encrypt(name, cipher, plain) {
      api.C_EncryptInit(session, mechanismOf(cipher), locateFor(name, cipher.kind).handle);
      return api.C_Encrypt(session, plain, Buffer.alloc(Math.max(maxOutput, plain.length + 16)));
    },
    derive(name, publicPoint) {
      const { handle, publicKey } = locateFor(name, 'ecdh');
      const mechanism = {
        mechanism: pkcs11.CKM_ECDH1_DERIVE,
        // CKD_NULL: the plain x coordinate, as RFC 5753 §7.1 wants to go on from.
        parameter: { type: pkcs11.CK_PARAMS_EC_DH, kdf: 1, publicData: publicPoint },
      };
      const template = [
        { type: pkcs11.CKA_CLASS, value: pkcs11.CKO_SECRET_KEY },
        { type: pkcs11.CKA_KEY_TYPE, value: pkcs11.CKK_GENERIC_SECRET },
        { type: pkcs11.CKA_TOKEN, value: false },
        { type: pkcs11.CKA_SENSITIVE, value: false },
        { type: pkcs11.CKA_EXTRACTABLE, value: true },
        { type: pkcs11.CKA_VALUE_LEN, value: coordinateLength(publicKey) },
      ];
      return orUndefined(() => {
        const derived = api.C_DeriveKey(session, mechanism, handle, template);
        try {
          return attribute(derived, pkcs11.CKA_VALUE);
        } finally {
          api.C_DestroyObject(session, derived);
        }
      });
    },
  };
}

/** An optional dependency: it is compiled on the machine that uses it. */
function load(): Pkcs11 {
  try {
    return createRequire(import.meta.url)('pkcs11js') as Pkcs11;
  } catch {
    throw new Error('the package pkcs11js is not installed, or was not compiled here');
  }
}
