// The only asynchronous seam of the engine: where private keys are used. A key service, an HSM process or, here, keys
// held in this process.
import type { KeyObject } from 'node:crypto';
import { SmimeError } from '../errors.ts';
import type { Certificate } from '../pki/certificate.ts';
import { openRecipientInfo } from './open-recipient.ts';
import { type SignatureAlgorithm, signOctets } from './signature.ts';

export interface SignKeyRequest {
  readonly certificate: Certificate;
  readonly algorithm: SignatureAlgorithm;
  /** The whole DER SET OF: EdDSA and ML-DSA sign messages, not digests. */
  readonly signedAttributes: Buffer;
}

export interface OpenKeyRequest {
  /** Whose key is asked for. */
  readonly certificate: Certificate;
  /** One RecipientInfo as received (BER). */
  readonly recipientInfo: Buffer;
  /** Octets that the content cipher wants. */
  readonly keyLength: number;
}

export interface KeyPort {
  /** The signature. Rejects when the key is not to be had; that error reaches the caller as it is. */
  sign(request: SignKeyRequest): Promise<Buffer> | Buffer;
  /** The content key, or undefined when this info does not open. Rejects only when the key is not to be had. */
  openRecipient(request: OpenKeyRequest): Promise<Buffer | undefined> | Buffer | undefined;
}

/** Keys in this process, by certificate. `sign` throws SmimeError `no-key` for a certificate that is not among them. */
export function localKeys(entries: readonly { certificate: Certificate; privateKey: KeyObject }[]): KeyPort {
  const keys = new Map(entries.map((entry) => [entry.certificate.fingerprint, entry.privateKey]));
  return {
    sign({ certificate, algorithm, signedAttributes }) {
      const key = keys.get(certificate.fingerprint);
      if (key === undefined) throw new SmimeError('no-key');
      return signOctets(key, algorithm, signedAttributes);
    },
    openRecipient({ certificate, recipientInfo, keyLength }) {
      const key = keys.get(certificate.fingerprint);
      return key === undefined ? undefined : openRecipientInfo(key, certificate, recipientInfo, keyLength);
    },
  };
}
