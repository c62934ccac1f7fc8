// What a certificate may be used for in S/MIME at a given time (RFC 8550 §4.4, S/MIME BR 7.1.2.3): validity, key usage,
// extended key usage and key strength of the certificate alone. Whether it is trusted is path.ts.
import type { Certificate, KeyUsage } from './certificate.ts';
import type { KeyAlgorithm } from './key-algorithm.ts';
import { PURPOSE } from './oids.ts';

export type UnfitReason = 'expired' | 'not-yet-valid' | 'key-usage' | 'eku' | 'weak-key';
export type Fitness = { readonly ok: true } | { readonly ok: false; readonly reason: UnfitReason };

/** RFC 8551 §2.3 and §2.2: shorter RSA keys must not be made and should not be relied on. */
const MIN_RSA_BITS = 2048;

const STRONG_CURVES = /^(prime256v1|secp256k1|secp384r1|secp521r1|brainpoolP(256|320|384|512)[rt]1)$/;

const ENCRYPTS: Partial<Readonly<Record<KeyAlgorithm, KeyUsage>>> = {
  rsa: 'keyEncipherment',
  'rsa-oaep': 'keyEncipherment',
  'ml-kem': 'keyEncipherment',
  ec: 'keyAgreement',
  x25519: 'keyAgreement',
  x448: 'keyAgreement',
};

const SIGNS: ReadonlySet<KeyAlgorithm> = new Set([
  'rsa',
  'rsa-pss',
  'dsa',
  'ec',
  'ed25519',
  'ed448',
  'ml-dsa',
  'slh-dsa',
]);

/** Whether mail may be encrypted to this certificate at `at`. A certificate without key usage is unrestricted. */
export function mayEncryptTo(certificate: Certificate, at: Date): Fitness {
  const needed = ENCRYPTS[certificate.keyAlgorithm];
  return fitness(certificate, at, needed === undefined ? [] : [needed]);
}

/** Whether a signature by this certificate may count at `at`. */
export function mayVerifyWith(certificate: Certificate, at: Date): Fitness {
  const signs = SIGNS.has(certificate.keyAlgorithm);
  return fitness(certificate, at, signs ? ['digitalSignature', 'contentCommitment'] : []);
}

/** `usages`: any one is enough; none means that the key cannot do it at all. */
function fitness(certificate: Certificate, at: Date, usages: readonly KeyUsage[]): Fitness {
  const { keyUsage } = certificate;
  if (at < certificate.notBefore) return { ok: false, reason: 'not-yet-valid' };
  if (at > certificate.notAfter) return { ok: false, reason: 'expired' };
  const allowed = usages.some((usage) => keyUsage === undefined || keyUsage.has(usage));
  if (!allowed) return { ok: false, reason: 'key-usage' };
  if (!servesPurpose(certificate, PURPOSE.emailProtection)) return { ok: false, reason: 'eku' };
  return isWeakKey(certificate) ? { ok: false, reason: 'weak-key' } : { ok: true };
}

/** No extended key usage means any (RFC 5280 §4.2.1.12). */
export function servesPurpose(certificate: Certificate, purpose: string): boolean {
  const usages = certificate.extendedKeyUsage;
  return usages === undefined || usages.includes(purpose) || usages.includes(PURPOSE.any);
}

/** RSA below 2048 bits, DSA at all, curves below 256 bits or without a name, and keys that cannot be imported. */
export function isWeakKey(certificate: Certificate): boolean {
  try {
    const { modulusLength, namedCurve } = certificate.keyDetails;
    if (certificate.keyAlgorithm === 'dsa') return true;
    if (certificate.keyAlgorithm === 'ec') return !STRONG_CURVES.test(namedCurve ?? '');
    return modulusLength !== undefined && modulusLength < MIN_RSA_BITS;
  } catch {
    return true;
  }
}
