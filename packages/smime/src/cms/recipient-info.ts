// RecipientInfo as a structure (RFC 5652 §6.2, RFC 9629 §3): for whom a content key is wrapped, and how.
import { SmimeError } from '../errors.ts';
import type { Certificate } from '../pki/certificate.ts';
import { context, type DerNode, readOctetBits, readOid, readSmallInteger, TAG } from '../pki/der.ts';
import { BerCursor, type BerNode, berChildren, enterBer, stringOctets } from './ber.ts';
import { type CertificateId, identifies, readCertificateId } from './identifier.ts';
import { MAX_RECIPIENTS } from './limits.ts';
import { ORI_KEM } from './oids.ts';
import { type AlgorithmId, readAlgorithm } from './signed-data.ts';

export interface KeyTransport {
  readonly kind: 'key-transport';
  readonly id: CertificateId;
  readonly algorithm: AlgorithmId;
  readonly encryptedKey: Buffer;
}

export interface KeyAgreement {
  readonly kind: 'key-agreement';
  /** The sender's ephemeral key; undefined when named by certificate, which S/MIME does not use. */
  readonly originator: { readonly algorithm: AlgorithmId; readonly publicKey: Buffer } | undefined;
  readonly userKeyingMaterial: Buffer | undefined;
  readonly algorithm: AlgorithmId;
  readonly keys: readonly { readonly id: CertificateId; readonly encryptedKey: Buffer }[];
}

export interface KeyEncryptionKey {
  readonly kind: 'kek';
  readonly keyId: Buffer;
  readonly algorithm: AlgorithmId;
  readonly encryptedKey: Buffer;
}

export interface Password {
  readonly kind: 'password';
  readonly derivation: AlgorithmId | undefined;
  readonly algorithm: AlgorithmId;
  readonly encryptedKey: Buffer;
}

export interface KeyEncapsulation {
  readonly kind: 'kem';
  readonly id: CertificateId;
  readonly kem: AlgorithmId;
  readonly ciphertext: Buffer;
  readonly kdf: AlgorithmId;
  readonly kekLength: number;
  readonly userKeyingMaterial: BerNode | undefined;
  readonly wrap: AlgorithmId;
  readonly encryptedKey: Buffer;
}

export type RecipientInfo =
  | KeyTransport
  | KeyAgreement
  | KeyEncryptionKey
  | Password
  | KeyEncapsulation
  | { readonly kind: 'unknown' };

/** Reads one RecipientInfo given as bytes. Throws SmimeError `malformed-cms`. */
export function readRecipientBytes(bytes: Buffer): RecipientInfo {
  return readRecipientInfo(new BerCursor(bytes).next());
}

export function readRecipientInfo(node: DerNode): RecipientInfo {
  switch (node.tag) {
    case TAG.sequence:
      return readKeyTransport(node);
    case context(1, true):
      return readKeyAgreement(node);
    case context(2, true):
      return readKek(node);
    case context(3, true):
      return readPassword(node);
    case context(4, true):
      return readOther(node);
    default:
      return { kind: 'unknown' };
  }
}

function readKeyTransport(node: DerNode): KeyTransport {
  const cursor = enterBer(node);
  cursor.next(TAG.integer);
  const id = readCertificateId(cursor.next());
  const algorithm = readAlgorithm(cursor.next(TAG.sequence));
  return { kind: 'key-transport', id, algorithm, encryptedKey: stringOctets(cursor.octetString()) };
}

function readKeyAgreement(node: DerNode): KeyAgreement {
  const cursor = enterBer(node);
  cursor.next(TAG.integer);
  const originator = enterBer(cursor.next(context(0, true))).next();
  const material = cursor.optional(context(1, true));
  const algorithm = readAlgorithm(cursor.next(TAG.sequence));
  const keys = berChildren(cursor.next(TAG.sequence), MAX_RECIPIENTS).map((entry) => {
    const fields = enterBer(entry);
    const id = readAgreementId(fields.next());
    return { id, encryptedKey: stringOctets(fields.octetString()) };
  });
  return {
    kind: 'key-agreement',
    originator: originator.tag === context(1, true) ? readOriginatorKey(originator) : undefined,
    userKeyingMaterial: material === undefined ? undefined : stringOctets(enterBer(material).octetString()),
    algorithm,
    keys,
  };
}

/** Under [0] it is a RecipientKeyIdentifier: the key identifier, then optional things. */
function readAgreementId(node: BerNode): CertificateId {
  if (node.tag === TAG.sequence) return readCertificateId(node);
  if (node.tag !== context(0, true)) throw new SmimeError('malformed-cms');
  return { kind: 'key-id', keyId: stringOctets(enterBer(node).octetString()) };
}

function readOriginatorKey(node: BerNode): { algorithm: AlgorithmId; publicKey: Buffer } {
  const cursor = enterBer(node);
  const algorithm = readAlgorithm(cursor.next(TAG.sequence));
  return { algorithm, publicKey: readOctetBits(cursor.next(TAG.bitString)) };
}

function readKek(node: DerNode): KeyEncryptionKey {
  const cursor = enterBer(node);
  cursor.next(TAG.integer);
  const keyId = stringOctets(enterBer(cursor.next(TAG.sequence)).octetString());
  const algorithm = readAlgorithm(cursor.next(TAG.sequence));
  return { kind: 'kek', keyId, algorithm, encryptedKey: stringOctets(cursor.octetString()) };
}

function readPassword(node: DerNode): Password {
  const cursor = enterBer(node);
  cursor.next(TAG.integer);
  const derivation = cursor.optional(context(0, true));
  const algorithm = readAlgorithm(cursor.next(TAG.sequence));
  const encryptedKey = stringOctets(cursor.octetString());
  return {
    kind: 'password',
    derivation: derivation === undefined ? undefined : readAlgorithm(derivation),
    algorithm,
    encryptedKey,
  };
}

function readOther(node: DerNode): RecipientInfo {
  const outer = enterBer(node);
  if (readOid(outer.next(TAG.oid)) !== ORI_KEM) return { kind: 'unknown' };
  const cursor = enterBer(outer.next(TAG.sequence));
  cursor.next(TAG.integer);
  const id = readCertificateId(cursor.next());
  const kem = readAlgorithm(cursor.next(TAG.sequence));
  const ciphertext = stringOctets(cursor.octetString());
  const kdf = readAlgorithm(cursor.next(TAG.sequence));
  const kekLength = readSmallInteger(cursor.next(TAG.integer));
  const userKeyingMaterial = cursor.optional(context(0, true));
  const wrap = readAlgorithm(cursor.next(TAG.sequence));
  const encryptedKey = stringOctets(cursor.octetString());
  return { kind: 'kem', id, kem, ciphertext, kdf, kekLength, userKeyingMaterial, wrap, encryptedKey };
}

/** Whether a recipient info is for the holder of this certificate. */
export function isFor(info: RecipientInfo, certificate: Certificate): boolean {
  switch (info.kind) {
    case 'key-transport':
    case 'kem':
      return identifies(info.id, certificate);
    case 'key-agreement':
      return info.keys.some((key) => identifies(key.id, certificate));
    default:
      return false;
  }
}
