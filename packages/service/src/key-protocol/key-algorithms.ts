// What keys are made of. A person has one key to sign and one to decrypt; where one algorithm cannot do both, the table names the
// partner that belongs to it.

export const signingAlgorithms = [
  'rsa-2048',
  'rsa-3072',
  'rsa-4096',
  'p-256',
  'p-384',
  'p-521',
  'ed25519',
  'ml-dsa-44',
  'ml-dsa-65',
  'ml-dsa-87',
] as const;

export const decryptionAlgorithms = [
  'rsa-2048',
  'rsa-3072',
  'rsa-4096',
  'p-256',
  'p-384',
  'p-521',
  'x25519',
  'ml-kem-512',
  'ml-kem-768',
  'ml-kem-1024',
] as const;

export type SigningAlgorithm = (typeof signingAlgorithms)[number];
export type DecryptionAlgorithm = (typeof decryptionAlgorithms)[number];
export type KeyAlgorithmName = SigningAlgorithm | DecryptionAlgorithm;

/** Of about the same strength; RSA and the NIST curves do both themselves. */
const partners: Readonly<Partial<Record<SigningAlgorithm, DecryptionAlgorithm>>> = {
  ed25519: 'x25519',
  'ml-dsa-44': 'ml-kem-512',
  'ml-dsa-65': 'ml-kem-768',
  'ml-dsa-87': 'ml-kem-1024',
};

/** What the decryption key is made of beside a signing key. */
export function decryptionPartner(signing: SigningAlgorithm): DecryptionAlgorithm {
  return partners[signing] ?? (signing as DecryptionAlgorithm);
}
