// Octets that are no mail, encrypted as a CMS object (RFC 5652, RFC 5083) for whoever holds the key of a certificate.

import { prepareEncryption } from './cms/encrypt.ts';
import type { Certificate } from './pki/certificate.ts';

/**
 * AuthEnvelopedData with AES-256-GCM, in DER; RSA recipients by OAEP with SHA-256.
 * Throws SmimeError `unsupported-algorithm` for a key that cannot be encrypted to.
 */
export function encryptObject(content: Buffer, recipient: Certificate): Buffer {
  const encryption = prepareEncryption({
    content: [content],
    recipients: [recipient],
    cipher: 'aes-256-gcm',
    oaep: () => 'sha256',
  });
  const pieces: Buffer[] = [];
  encryption.write((octets) => pieces.push(octets));
  return Buffer.concat(pieces);
}
