// EnvelopedData or AuthEnvelopedData for several recipients, in DER, written while it is encrypted: all lengths are known
// beforehand, so the ciphertext goes straight to where the caller wants it.
import { SmimeError } from '../errors.ts';
import type { Certificate } from '../pki/certificate.ts';
import { context, TAG } from '../pki/der.ts';
import { integer, octetString, oid, sequence, setOf } from '../pki/der-write.ts';
import { writeAgreement } from './agreement.ts';
import { CIPHERS, type CipherName, type DigestName } from './algorithms.ts';
import { ContentEncryption } from './content-cipher.ts';
import { writeEncapsulation } from './encapsulation.ts';
import { writeIssuerSerial } from './identifier.ts';
import { CONTENT_TYPE } from './oids.ts';
import { elementHeader, lengthOf } from './pieces.ts';
import { encryptOaep, encryptPkcs1 } from './rsa-transport.ts';

export interface EncryptRequest {
  readonly content: readonly Buffer[];
  readonly recipients: readonly Certificate[];
  readonly cipher: CipherName;
  /** The digest for OAEP to an RSA recipient, undefined for v1.5. */
  readonly oaep: (recipient: Certificate) => DigestName | undefined;
}

export interface Encryption {
  readonly authenticated: boolean;
  /** Octets of the whole ContentInfo. */
  readonly length: number;
  /** Writes the ContentInfo in order; call once. */
  write(sink: (octets: Buffer) => void): void;
}

/** Throws SmimeError `unsupported-algorithm` (a recipient's key, a cipher for reading only) or `no-recipient`. */
export function prepareEncryption(request: EncryptRequest): Encryption {
  const cipher = CIPHERS[request.cipher];
  if (cipher.legacy || cipher.mode === 'ccm') throw new SmimeError('unsupported-algorithm');
  if (request.recipients.length === 0) throw new SmimeError('no-recipient');
  const encryption = new ContentEncryption(cipher);
  const infos = request.recipients.map((certificate) => recipientInfo(certificate, encryption.key, request.oaep));
  const { authenticated } = encryption;
  const before = [integer(version(infos, authenticated)), setOf(infos)];
  const type = oid(CONTENT_TYPE.data);
  const length = encryption.lengthFor(lengthOf(request.content));
  const cipherHeader = elementHeader(context(0), length);
  const inner = [type, encryption.algorithm, cipherHeader];
  const innerHeader = elementHeader(TAG.sequence, lengthOf(inner) + length);
  const tagLength = authenticated ? 18 : 0;
  const heads = headers([...before, innerHeader, ...inner], length + tagLength, authenticated);
  return {
    authenticated,
    length: lengthOf(heads) + length + tagLength,
    write(sink) {
      for (const head of heads) sink(head);
      encryption.encrypt(request.content, sink);
      encryption.key.fill(0);
      if (authenticated) sink(octetString(encryption.tag()));
    },
  };
}

/** Everything in front of the ciphertext. */
function headers(parts: readonly Buffer[], rest: number, authenticated: boolean): Buffer[] {
  const body = lengthOf(parts) + rest;
  const enveloped = elementHeader(TAG.sequence, body);
  const wrapped = elementHeader(context(0, true), enveloped.length + body);
  const type = oid(authenticated ? CONTENT_TYPE.authEnvelopedData : CONTENT_TYPE.envelopedData);
  const outer = elementHeader(TAG.sequence, type.length + wrapped.length + enveloped.length + body);
  return [outer, type, wrapped, enveloped, ...parts];
}

/**
 * RFC 5652 §6.1: 3 with a recipient of another kind, 0 when every one is a key transport by issuer and serial number.
 * RFC 5083 §2.1: always 0.
 */
function version(infos: readonly Buffer[], authenticated: boolean): number {
  if (authenticated || infos.every((info) => info[0] === TAG.sequence)) return 0;
  return infos.some((info) => info[0] === context(4, true)) ? 3 : 2;
}

function recipientInfo(certificate: Certificate, contentKey: Buffer, oaep: EncryptRequest['oaep']): Buffer {
  const key = certificate.publicKey;
  if (certificate.keyAlgorithm === 'ml-kem') return writeEncapsulation(certificate, contentKey);
  if (key.asymmetricKeyType !== 'rsa') return writeAgreement(certificate, contentKey);
  const digest = oaep(certificate) ?? (certificate.keyAlgorithm === 'rsa-oaep' ? 'sha256' : undefined);
  const { algorithm, encryptedKey } =
    digest === undefined ? encryptPkcs1(key, contentKey) : encryptOaep(key, contentKey, digest);
  return sequence(integer(0), writeIssuerSerial(certificate), algorithm, octetString(encryptedKey));
}
