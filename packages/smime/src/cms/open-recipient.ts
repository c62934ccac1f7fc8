// One RecipientInfo opened with one private key: the operation behind the key port, wherever the key lives.
import { createPublicKey, type KeyObject } from 'node:crypto';
import type { Certificate } from '../pki/certificate.ts';
import { openAgreement } from './agreement.ts';
import { KEY_TRANSPORT } from './algorithms.ts';
import { openEncapsulation } from './encapsulation.ts';
import { type CertificateId, identifies } from './identifier.ts';
import { isFor, type KeyTransport, type RecipientInfo, readRecipientBytes } from './recipient-info.ts';
import { decryptOaep, decryptPkcs1 } from './rsa-transport.ts';

/**
 * The content encryption key, or undefined. RSA v1.5 always gives `keyLength` octets (see rsa-transport). The info
 * must name the certificate: a key never opens what was wrapped for another. Never throws for bad input.
 */
export function openRecipientInfo(
  key: KeyObject,
  certificate: Certificate,
  recipientInfo: Buffer,
  keyLength: number,
): Buffer | undefined {
  try {
    const info = readRecipientBytes(recipientInfo);
    return isFor(info, certificate)
      ? openWith(key, info, keyLength, certificate.spki, (id) => identifies(id, certificate))
      : undefined;
  } catch {
    return undefined;
  }
}

/** The same for a key whose certificate is not there to be matched; for files on a desk, not for a gateway. */
export function openWithBareKey(key: KeyObject, info: RecipientInfo, keyLength: number): Buffer | undefined {
  try {
    return openWith(key, info, keyLength, createPublicKey(key).export({ type: 'spki', format: 'der' }), () => true);
  } catch {
    return undefined;
  }
}

function openWith(
  key: KeyObject,
  info: RecipientInfo,
  keyLength: number,
  spki: Buffer,
  isOurs: (id: CertificateId) => boolean,
): Buffer | undefined {
  switch (info.kind) {
    case 'key-transport':
      return openTransport(key, info, keyLength);
    case 'key-agreement':
      return openAgreement(key, spki, info, isOurs);
    case 'kem':
      return openEncapsulation(key, info);
    default:
      return undefined;
  }
}

function openTransport(key: KeyObject, info: KeyTransport, keyLength: number): Buffer | undefined {
  if (key.asymmetricKeyType !== 'rsa') return undefined;
  if (info.algorithm.oid === KEY_TRANSPORT.rsa) return decryptPkcs1(key, info.encryptedKey, keyLength);
  return info.algorithm.oid === KEY_TRANSPORT.oaep ? decryptOaep(key, info.algorithm, info.encryptedKey) : undefined;
}
