// Content keys under a key encapsulation mechanism: KEMRecipientInfo (RFC 9629) with ML-KEM (RFC 9936).
import { decapsulate, encapsulate, type KeyObject } from 'node:crypto';
import type { Certificate } from '../pki/certificate.ts';
import { context } from '../pki/der.ts';
import { algorithmIdentifier, integer, octetString, oid, sequence, tlv } from '../pki/der-write.ts';
import { HKDF_SHA256, HKDFS, WRAPS, wrapOf } from './algorithms.ts';
import { toDefinite } from './ber.ts';
import { writeIssuerSerial } from './identifier.ts';
import { encapsulatedKek, keyInfoSpellings, unwrapKey, wrapKey } from './key-wrap.ts';
import { ORI_KEM } from './oids.ts';
import type { KeyEncapsulation } from './recipient-info.ts';

/** The content key, or undefined. Throws what node:crypto throws for a ciphertext that is none. */
export function openEncapsulation(key: KeyObject, info: KeyEncapsulation): Buffer | undefined {
  const digest = HKDFS.get(info.kdf.oid);
  const wrap = wrapOf(info.wrap.oid);
  if (digest === undefined || wrap === undefined || info.kekLength !== wrap.keyLength) return undefined;
  const secret = decapsulate(key, info.ciphertext);
  const ukm = info.userKeyingMaterial === undefined ? undefined : toDefinite(info.userKeyingMaterial);
  for (const spelling of keyInfoSpellings(info.wrap)) {
    const opened = unwrapKey(wrap, encapsulatedKek(digest, secret, spelling, info.kekLength, ukm), info.encryptedKey);
    if (opened !== undefined) return opened;
  }
  return undefined;
}

/** An OtherRecipientInfo for one recipient, with HKDF-SHA-256 and AES-256 wrap. */
export function writeEncapsulation(certificate: Certificate, contentKey: Buffer): Buffer {
  const { sharedKey, ciphertext } = encapsulate(certificate.publicKey);
  const wrap = WRAPS['aes-256-wrap'];
  const wrapId = algorithmIdentifier(wrap.oid);
  const kek = encapsulatedKek('sha256', sharedKey, wrapId, wrap.keyLength);
  const encryptedKey = wrapKey(wrap, kek, contentKey);
  kek.fill(0);
  sharedKey.fill(0);
  const info = sequence(
    integer(0),
    writeIssuerSerial(certificate),
    algorithmIdentifier(certificate.keyType.oid),
    octetString(ciphertext),
    algorithmIdentifier(HKDF_SHA256),
    integer(wrap.keyLength),
    wrapId,
    octetString(encryptedKey),
  );
  return tlv(context(4, true), oid(ORI_KEM), info);
}
