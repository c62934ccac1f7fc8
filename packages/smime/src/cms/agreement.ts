// Content keys under key agreement: ECDH on the NIST and brainpool curves (RFC 5753), X25519 and X448 (RFC 8418). The
// sender's key is ephemeral, the recipient's static.
import { createPublicKey, diffieHellman, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { SmimeError } from '../errors.ts';
import type { Certificate } from '../pki/certificate.ts';
import { context, enter, readDer, TAG } from '../pki/der.ts';
import { algorithmIdentifier, bitString, explicit, integer, octetString, sequence, tlv } from '../pki/der-write.ts';
import { AGREEMENT_OID, agreementOf, WRAPS, type WrapAlgorithm, wrapOf } from './algorithms.ts';
import { type BerNode, toDefinite } from './ber.ts';
import { type CertificateId, writeIssuerSerial } from './identifier.ts';
import { agreedKek, keyInfoSpellings, unwrapKey, wrapKey } from './key-wrap.ts';
import type { KeyAgreement } from './recipient-info.ts';
import { readAlgorithm } from './signed-data.ts';

/** Keys of the recipient's kind that a sender may have used; one SharedInfo spelling each is tried. */
const MAX_MATCHING_KEYS = 4;

/** The content key, or undefined. `spki` is the recipient's public key, `isOurs` tells which entries are meant for it. */
export function openAgreement(
  key: KeyObject,
  spki: Buffer,
  info: KeyAgreement,
  isOurs: (id: CertificateId) => boolean,
): Buffer | undefined {
  const theirs = originatorOf(spki, info);
  const secret = theirs && sharedSecret(key, theirs);
  return secret && unwrapAgreed(secret, info, isOurs);
}

/** The content key out of a shared secret, or undefined. */
export function unwrapAgreed(
  secret: Buffer,
  info: KeyAgreement,
  isOurs: (id: CertificateId) => boolean,
): Buffer | undefined {
  const scheme = agreementOf(info.algorithm.oid);
  const wrapId = info.algorithm.parameters === undefined ? undefined : readAlgorithm(info.algorithm.parameters);
  const wrap = wrapId === undefined ? undefined : wrapOf(wrapId.oid);
  if (scheme === undefined || wrapId === undefined || wrap === undefined) return undefined;
  const entries = info.keys.filter((entry) => isOurs(entry.id)).slice(0, MAX_MATCHING_KEYS);
  for (const { encryptedKey } of entries) {
    for (const keyInfo of keyInfoSpellings(wrapId)) {
      const kek = agreedKek(scheme, secret, keyInfo, wrap.keyLength, info.userKeyingMaterial);
      const opened = unwrapKey(wrap, kek, encryptedKey);
      kek.fill(0);
      if (opened !== undefined) return opened;
    }
  }
  return undefined;
}

/** The originator's point is read on the recipient's own curve, whatever the message claims (invalid-curve attack). */
export function originatorOf(spki: Buffer, info: Pick<KeyAgreement, 'originator'>): KeyObject | undefined {
  if (info.originator === undefined) return undefined;
  try {
    const { algorithm, publicKey } = info.originator;
    const own = enter(readDer(spki, TAG.sequence)).next(TAG.sequence);
    if (readAlgorithm(own).oid !== algorithm.oid) return undefined;
    if (!allows(algorithm.parameters, readAlgorithm(own).parameters)) return undefined;
    return createPublicKey({ key: sequence(own.bytes, bitString(publicKey)), format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}

/** Absent, NULL, or the recipient's curve by its name: a curve that is spelled out is somebody's own (RFC 5480 §2.1.1). */
function allows(parameters: BerNode | undefined, ownCurve: BerNode | undefined): boolean {
  if (parameters === undefined || parameters.tag === TAG.null) return true;
  return ownCurve !== undefined && toDefinite(parameters).equals(ownCurve.bytes);
}

export function sharedSecret(privateKey: KeyObject, publicKey: KeyObject): Buffer | undefined {
  try {
    return diffieHellman({ privateKey, publicKey });
  } catch {
    return undefined;
  }
}

/** A KeyAgreeRecipientInfo for one recipient. Throws SmimeError `unsupported-algorithm`. */
export function writeAgreement(certificate: Certificate, contentKey: Buffer): Buffer {
  const recipient = certificate.publicKey;
  const { schemeOid, wrap } = chooseAgreement(recipient);
  const ephemeral = ephemeralFor(recipient);
  const secret = diffieHellman({ privateKey: ephemeral.privateKey, publicKey: recipient });
  const keyInfo = algorithmIdentifier(wrap.oid);
  const scheme = agreementOf(schemeOid);
  if (scheme === undefined) throw new SmimeError('unsupported-algorithm');
  const kek = agreedKek(scheme, secret, keyInfo, wrap.keyLength);
  const wrapped = wrapKey(wrap, kek, contentKey);
  kek.fill(0);
  secret.fill(0);
  const entry = sequence(writeIssuerSerial(certificate), octetString(wrapped));
  return tlv(
    context(1, true),
    integer(3),
    explicit(0, originatorKey(certificate, ephemeral.publicKey)),
    algorithmIdentifier(schemeOid, keyInfo),
    sequence(entry),
  );
}

/** As strong as the curve (RFC 5753 §8); AES-256 wrap for every curve costs nothing and fits both content ciphers. */
function chooseAgreement(recipient: KeyObject): { schemeOid: string; wrap: WrapAlgorithm } {
  const wrap = WRAPS['aes-256-wrap'];
  switch (recipient.asymmetricKeyType) {
    case 'ec': {
      const curve = recipient.asymmetricKeyDetails?.namedCurve ?? '';
      if (/384/.test(curve)) return { schemeOid: AGREEMENT_OID.x963Sha384, wrap };
      return { schemeOid: /521|512/.test(curve) ? AGREEMENT_OID.x963Sha512 : AGREEMENT_OID.x963Sha256, wrap };
    }
    case 'x25519':
      return { schemeOid: AGREEMENT_OID.hkdfSha256, wrap };
    case 'x448':
      return { schemeOid: AGREEMENT_OID.hkdfSha512, wrap };
    default:
      throw new SmimeError('unsupported-algorithm');
  }
}

function ephemeralFor(recipient: KeyObject): { publicKey: KeyObject; privateKey: KeyObject } {
  if (recipient.asymmetricKeyType === 'x25519') return generateKeyPairSync('x25519');
  if (recipient.asymmetricKeyType === 'x448') return generateKeyPairSync('x448');
  return generateKeyPairSync('ec', { namedCurve: recipient.asymmetricKeyDetails?.namedCurve ?? '' });
}

/** [1] OriginatorPublicKey. For EC without parameters: the curve is the recipient's (RFC 5753 §3.1.1). */
function originatorKey(certificate: Certificate, ephemeral: KeyObject): Buffer {
  // The raw form: exporting SPKI costs more than the agreement itself.
  const point = ephemeral.export({ format: 'raw-public' });
  return tlv(context(1, true), algorithmIdentifier(certificate.keyType.oid), bitString(point));
}
