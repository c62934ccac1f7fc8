// One RecipientInfo opened with a key that stays in a token (PKCS#11): the token does the one step that needs the private key, all
// around it is done here, with the same checks and the same uniform outcome as for a key in memory.
import type { Certificate } from '../pki/certificate.ts';
import { originatorOf, unwrapAgreed } from './agreement.ts';
import { type DigestName, KEY_TRANSPORT } from './algorithms.ts';
import { identifies } from './identifier.ts';
import { isFor, type KeyAgreement, type KeyTransport, readRecipientBytes } from './recipient-info.ts';
import { readOaepParameters, uniformKey } from './rsa-transport.ts';

/** What a token does. Each gives undefined for whatever it does not open; it rejects only when the token is not to be had. */
export interface TokenKey {
  /** Secret, of this key alone, the same in every process: from it comes the key for a v1.5 transport that does not open. */
  readonly secret: Buffer;
  decryptPkcs1(encryptedKey: Buffer): Promise<Buffer | undefined>;
  decryptOaep(
    encryptedKey: Buffer,
    parameters: { readonly digest: DigestName; readonly maskDigest: DigestName; readonly label: Buffer },
  ): Promise<Buffer | undefined>;
  /** ECDH with an uncompressed point of the key's own curve: the shared x coordinate. */
  derive(point: Buffer): Promise<Buffer | undefined>;
}

/** The content key, or undefined; as `openRecipientInfo`. Rejects only when the token is not to be had. */
export async function openRecipientWith(
  key: TokenKey,
  certificate: Certificate,
  recipientInfo: Buffer,
  keyLength: number,
): Promise<Buffer | undefined> {
  const info = readInfo(recipientInfo);
  if (!info || !isFor(info, certificate)) return undefined;
  if (info.kind === 'key-transport') {
    return certificate.keyType.algorithm === 'rsa' ? await openTransport(key, info, keyLength) : undefined;
  }
  return info.kind === 'key-agreement' ? await openAgreement(key, certificate, info) : undefined;
}

function readInfo(bytes: Buffer): ReturnType<typeof readRecipientBytes> | undefined {
  try {
    return readRecipientBytes(bytes);
  } catch {
    return undefined;
  }
}

async function openTransport(key: TokenKey, info: KeyTransport, keyLength: number): Promise<Buffer | undefined> {
  const { algorithm, encryptedKey } = info;
  if (algorithm.oid === KEY_TRANSPORT.rsa) {
    const opened = await key.decryptPkcs1(encryptedKey);
    return uniformKey(opened ?? Buffer.alloc(0), key.secret, encryptedKey, keyLength);
  }
  const parameters = algorithm.oid === KEY_TRANSPORT.oaep ? oaepOf(info) : undefined;
  return parameters && (await key.decryptOaep(encryptedKey, parameters));
}

function oaepOf({ algorithm }: KeyTransport): ReturnType<typeof readOaepParameters> {
  try {
    return readOaepParameters(algorithm);
  } catch {
    return undefined;
  }
}

async function openAgreement(key: TokenKey, certificate: Certificate, info: KeyAgreement): Promise<Buffer | undefined> {
  const theirs = originatorOf(certificate.spki, info);
  if (theirs?.asymmetricKeyType !== 'ec') return undefined;
  const secret = await key.derive(Buffer.from(theirs.export({ format: 'raw-public' })));
  if (secret === undefined) return undefined;
  try {
    return unwrapAgreed(secret, info, (id) => identifies(id, certificate));
  } catch {
    return undefined;
  } finally {
    secret.fill(0);
  }
}
