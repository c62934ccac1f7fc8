// How CMS names a certificate: issuer and serial number, or subject key identifier (RFC 5652 §5.3, §6.2.1).
import type { Certificate } from '../pki/certificate.ts';
import { type DerNode, readIntegerBytes, TAG } from '../pki/der.ts';
import { sequence, tlv } from '../pki/der-write.ts';
import { enterBer, stringOctets, toDefinite } from './ber.ts';

export type CertificateId =
  | { readonly kind: 'issuer-serial'; readonly issuer: DerNode; readonly serial: Buffer }
  | { readonly kind: 'key-id'; readonly keyId: Buffer };

/** IssuerAndSerialNumber, or SubjectKeyIdentifier under [0]. */
export function readCertificateId(node: DerNode): CertificateId {
  if (node.tag === TAG.sequence) {
    const cursor = enterBer(node);
    const issuer = cursor.next(TAG.sequence);
    return { kind: 'issuer-serial', issuer, serial: readIntegerBytes(cursor.next(TAG.integer)) };
  }
  return { kind: 'key-id', keyId: stringOctets(node) };
}

export function identifies(id: CertificateId, certificate: Certificate): boolean {
  if (id.kind === 'key-id') return certificate.subjectKeyId?.equals(id.keyId) === true;
  if (!id.serial.equals(certificate.serial)) return false;
  const { issuerDer } = certificate;
  return id.issuer.bytes.equals(issuerDer) || toDefinite(id.issuer).equals(issuerDer);
}

export function writeIssuerSerial(certificate: Certificate): Buffer {
  return sequence(certificate.issuerDer, tlv(TAG.integer, certificate.serial));
}
