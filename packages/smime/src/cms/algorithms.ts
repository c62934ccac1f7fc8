// The one table of algorithms: object identifier ↔ what node:crypto calls it, with sizes and standing. An algorithm
// that is not here is unknown to the engine and is reported as such, never guessed.

export interface DigestAlgorithm {
  /** Name in verdicts and for node:crypto. */
  readonly name: string;
  readonly oid: string;
  readonly bytes: number;
  /** Parameter of the micalg of multipart/signed (RFC 8551 §3.5.3.2). */
  readonly micalg: string;
  /** Collisions are practical: a signature over it proves nothing. */
  readonly broken: boolean;
  /** Extendable output: `bytes` must be asked for. */
  readonly xof?: true;
}

const NIST_HASH = '2.16.840.1.101.3.4.2';

function digest(name: string, oid: string, bytes: number, micalg: string, broken = false): DigestAlgorithm {
  return { name, oid, bytes, micalg, broken };
}

export const DIGESTS = {
  md5: digest('md5', '1.2.840.113549.2.5', 16, 'md5', true),
  sha1: digest('sha1', '1.3.14.3.2.26', 20, 'sha-1', true),
  sha224: digest('sha224', `${NIST_HASH}.4`, 28, 'sha-224'),
  sha256: digest('sha256', `${NIST_HASH}.1`, 32, 'sha-256'),
  sha384: digest('sha384', `${NIST_HASH}.2`, 48, 'sha-384'),
  sha512: digest('sha512', `${NIST_HASH}.3`, 64, 'sha-512'),
  'sha512-224': digest('sha512-224', `${NIST_HASH}.5`, 28, 'sha-512-224'),
  'sha512-256': digest('sha512-256', `${NIST_HASH}.6`, 32, 'sha-512-256'),
  'sha3-224': digest('sha3-224', `${NIST_HASH}.7`, 28, 'sha3-224'),
  'sha3-256': digest('sha3-256', `${NIST_HASH}.8`, 32, 'sha3-256'),
  'sha3-384': digest('sha3-384', `${NIST_HASH}.9`, 48, 'sha3-384'),
  'sha3-512': digest('sha3-512', `${NIST_HASH}.10`, 64, 'sha3-512'),
  // id-shake256-len with 512 bits, which RFC 8419 §3.1 wants beside Ed448; id-shake256 is read too.
  shake256: { name: 'shake256', oid: `${NIST_HASH}.18`, bytes: 64, micalg: 'shake256', broken: false, xof: true },
} as const satisfies Record<string, DigestAlgorithm>;

export type DigestName = keyof typeof DIGESTS;

const digestByOid = new Map<string, DigestAlgorithm>(Object.values(DIGESTS).map((entry) => [entry.oid, entry]));

digestByOid.set(`${NIST_HASH}.12`, DIGESTS.shake256);

export function digestOf(oid: string): DigestAlgorithm | undefined {
  return digestByOid.get(oid);
}

export type SignatureScheme =
  | 'rsa-pkcs1'
  | 'rsa-pss'
  | 'ecdsa'
  | 'dsa'
  | 'ed25519'
  | 'ed448'
  | 'ml-dsa-44'
  | 'ml-dsa-65'
  | 'ml-dsa-87'
  | SlhDsa;

type SlhDsa = `slh-dsa-${'sha2' | 'shake'}-${'128' | '192' | '256'}${'s' | 'f'}`;

export interface SignatureOid {
  readonly scheme: SignatureScheme;
  /** Fixed by the identifier; otherwise the digest algorithm of the signer (or the PSS parameters) says it. */
  readonly digest?: DigestName;
}

const ECDSA = '1.2.840.10045.4';
const NIST_SIGNATURE = '2.16.840.1.101.3.4.3';

function slhDsaRows(): [string, SignatureOid][] {
  const sets = ['128s', '128f', '192s', '192f', '256s', '256f'] as const;
  return (['sha2', 'shake'] as const).flatMap((hash, family) =>
    sets.map((set, index): [string, SignatureOid] => [
      `${NIST_SIGNATURE}.${20 + family * 6 + index}`,
      { scheme: `slh-dsa-${hash}-${set}` as SlhDsa },
    ]),
  );
}

/** Signature identifiers of SignerInfo. Some name the key algorithm only (RFC 3370 §3.2 allows rsaEncryption). */
const SIGNATURES = new Map<string, SignatureOid>([
  ['1.2.840.113549.1.1.1', { scheme: 'rsa-pkcs1' }],
  ['1.2.840.113549.1.1.4', { scheme: 'rsa-pkcs1', digest: 'md5' }],
  ['1.2.840.113549.1.1.5', { scheme: 'rsa-pkcs1', digest: 'sha1' }],
  ['1.3.14.3.2.29', { scheme: 'rsa-pkcs1', digest: 'sha1' }],
  ['1.2.840.113549.1.1.14', { scheme: 'rsa-pkcs1', digest: 'sha224' }],
  ['1.2.840.113549.1.1.11', { scheme: 'rsa-pkcs1', digest: 'sha256' }],
  ['1.2.840.113549.1.1.12', { scheme: 'rsa-pkcs1', digest: 'sha384' }],
  ['1.2.840.113549.1.1.13', { scheme: 'rsa-pkcs1', digest: 'sha512' }],
  ['1.2.840.113549.1.1.15', { scheme: 'rsa-pkcs1', digest: 'sha512-224' }],
  ['1.2.840.113549.1.1.16', { scheme: 'rsa-pkcs1', digest: 'sha512-256' }],
  [`${NIST_SIGNATURE}.13`, { scheme: 'rsa-pkcs1', digest: 'sha3-224' }],
  [`${NIST_SIGNATURE}.14`, { scheme: 'rsa-pkcs1', digest: 'sha3-256' }],
  [`${NIST_SIGNATURE}.15`, { scheme: 'rsa-pkcs1', digest: 'sha3-384' }],
  [`${NIST_SIGNATURE}.16`, { scheme: 'rsa-pkcs1', digest: 'sha3-512' }],
  ['1.2.840.113549.1.1.10', { scheme: 'rsa-pss' }],
  ['1.2.840.10045.2.1', { scheme: 'ecdsa' }],
  [`${ECDSA}.1`, { scheme: 'ecdsa', digest: 'sha1' }],
  [`${ECDSA}.3.1`, { scheme: 'ecdsa', digest: 'sha224' }],
  [`${ECDSA}.3.2`, { scheme: 'ecdsa', digest: 'sha256' }],
  [`${ECDSA}.3.3`, { scheme: 'ecdsa', digest: 'sha384' }],
  [`${ECDSA}.3.4`, { scheme: 'ecdsa', digest: 'sha512' }],
  [`${NIST_SIGNATURE}.9`, { scheme: 'ecdsa', digest: 'sha3-224' }],
  [`${NIST_SIGNATURE}.10`, { scheme: 'ecdsa', digest: 'sha3-256' }],
  [`${NIST_SIGNATURE}.11`, { scheme: 'ecdsa', digest: 'sha3-384' }],
  [`${NIST_SIGNATURE}.12`, { scheme: 'ecdsa', digest: 'sha3-512' }],
  ['1.2.840.10040.4.1', { scheme: 'dsa' }],
  ['1.2.840.10040.4.3', { scheme: 'dsa', digest: 'sha1' }],
  [`${NIST_SIGNATURE}.1`, { scheme: 'dsa', digest: 'sha224' }],
  [`${NIST_SIGNATURE}.2`, { scheme: 'dsa', digest: 'sha256' }],
  ['1.3.101.112', { scheme: 'ed25519' }],
  ['1.3.101.113', { scheme: 'ed448' }],
  [`${NIST_SIGNATURE}.17`, { scheme: 'ml-dsa-44' }],
  [`${NIST_SIGNATURE}.18`, { scheme: 'ml-dsa-65' }],
  [`${NIST_SIGNATURE}.19`, { scheme: 'ml-dsa-87' }],
  ...slhDsaRows(),
]);

export function signatureOf(oid: string): SignatureOid | undefined {
  return SIGNATURES.get(oid);
}

/** Identifier to write for a scheme and digest. */
export function signatureOid(scheme: SignatureScheme, digestName: DigestName): string | undefined {
  for (const [oid, entry] of SIGNATURES) {
    if (entry.scheme !== scheme) continue;
    const fixed = scheme === 'rsa-pkcs1' || scheme === 'ecdsa' || scheme === 'dsa';
    if (!fixed || entry.digest === digestName) return oid;
  }
  return undefined;
}

type CipherMode = 'cbc' | 'gcm' | 'ccm' | 'poly1305' | 'rc2';

export interface ContentCipher {
  /** Name in verdicts, in options, and for node:crypto. */
  readonly name: string;
  readonly oid: string;
  /** Octets of the key; RC2 takes its length from the parameters instead. */
  readonly keyLength: number;
  readonly mode: CipherMode;
  readonly ivLength: number;
  /** Read only behind a policy switch, with a weakness in the verdict. */
  readonly legacy: boolean;
}

const AES = '2.16.840.1.101.3.4.1';

function aes(bits: 128 | 192 | 256, mode: 'cbc' | 'gcm' | 'ccm', arc: number): ContentCipher {
  const ivLength = mode === 'cbc' ? 16 : 12;
  return { name: `aes-${bits}-${mode}`, oid: `${AES}.${arc}`, keyLength: bits / 8, mode, ivLength, legacy: false };
}

export const CIPHERS = {
  'aes-128-cbc': aes(128, 'cbc', 2),
  'aes-192-cbc': aes(192, 'cbc', 22),
  'aes-256-cbc': aes(256, 'cbc', 42),
  'aes-128-gcm': aes(128, 'gcm', 6),
  'aes-192-gcm': aes(192, 'gcm', 26),
  'aes-256-gcm': aes(256, 'gcm', 46),
  'aes-128-ccm': aes(128, 'ccm', 7),
  'aes-192-ccm': aes(192, 'ccm', 27),
  'aes-256-ccm': aes(256, 'ccm', 47),
  'chacha20-poly1305': {
    name: 'chacha20-poly1305',
    oid: '1.2.840.113549.1.9.16.3.18',
    keyLength: 32,
    mode: 'poly1305',
    ivLength: 12,
    legacy: false,
  },
  'des-ede3-cbc': {
    name: 'des-ede3-cbc',
    oid: '1.2.840.113549.3.7',
    keyLength: 24,
    mode: 'cbc',
    ivLength: 8,
    legacy: true,
  },
  'rc2-cbc': { name: 'rc2-cbc', oid: '1.2.840.113549.3.2', keyLength: 16, mode: 'rc2', ivLength: 8, legacy: true },
} as const satisfies Record<string, ContentCipher>;

export type CipherName = keyof typeof CIPHERS;

const cipherByOid = new Map<string, ContentCipher>(Object.values(CIPHERS).map((entry) => [entry.oid, entry]));

export function cipherOf(oid: string): ContentCipher | undefined {
  return cipherByOid.get(oid);
}

export interface WrapAlgorithm {
  readonly name: string;
  readonly oid: string;
  readonly keyLength: number;
}

/** AES key wrap (RFC 3394). */
export const WRAPS = {
  'aes-128-wrap': { name: 'aes128-wrap', oid: `${AES}.5`, keyLength: 16 },
  'aes-192-wrap': { name: 'aes192-wrap', oid: `${AES}.25`, keyLength: 24 },
  'aes-256-wrap': { name: 'aes256-wrap', oid: `${AES}.45`, keyLength: 32 },
  'des-ede3-wrap': { name: 'des3-wrap', oid: '1.2.840.113549.1.9.16.3.6', keyLength: 24 },
} as const satisfies Record<string, WrapAlgorithm>;

const wrapByOid = new Map<string, WrapAlgorithm>(Object.values(WRAPS).map((entry) => [entry.oid, entry]));

export function wrapOf(oid: string): WrapAlgorithm | undefined {
  return wrapByOid.get(oid);
}

export interface AgreementScheme {
  readonly kdf: 'x963' | 'hkdf';
  readonly digest: DigestName;
}

const CERTICOM = '1.3.132.1';

/** Key agreement (RFC 5753 §7.1.4: standard and cofactor ECDH are equal where the cofactor is 1; RFC 8418 §2). */
const AGREEMENTS = new Map<string, AgreementScheme>([
  ['1.3.133.16.840.63.0.2', { kdf: 'x963', digest: 'sha1' }],
  [`${CERTICOM}.11.0`, { kdf: 'x963', digest: 'sha224' }],
  [`${CERTICOM}.11.1`, { kdf: 'x963', digest: 'sha256' }],
  [`${CERTICOM}.11.2`, { kdf: 'x963', digest: 'sha384' }],
  [`${CERTICOM}.11.3`, { kdf: 'x963', digest: 'sha512' }],
  ['1.3.133.16.840.63.0.3', { kdf: 'x963', digest: 'sha1' }],
  [`${CERTICOM}.14.0`, { kdf: 'x963', digest: 'sha224' }],
  [`${CERTICOM}.14.1`, { kdf: 'x963', digest: 'sha256' }],
  [`${CERTICOM}.14.2`, { kdf: 'x963', digest: 'sha384' }],
  [`${CERTICOM}.14.3`, { kdf: 'x963', digest: 'sha512' }],
  ['1.2.840.113549.1.9.16.3.19', { kdf: 'hkdf', digest: 'sha256' }],
  ['1.2.840.113549.1.9.16.3.20', { kdf: 'hkdf', digest: 'sha384' }],
  ['1.2.840.113549.1.9.16.3.21', { kdf: 'hkdf', digest: 'sha512' }],
]);

export const AGREEMENT_OID = {
  x963Sha256: `${CERTICOM}.11.1`,
  x963Sha384: `${CERTICOM}.11.2`,
  x963Sha512: `${CERTICOM}.11.3`,
  hkdfSha256: '1.2.840.113549.1.9.16.3.19',
  hkdfSha512: '1.2.840.113549.1.9.16.3.21',
} as const;

export function agreementOf(oid: string): AgreementScheme | undefined {
  return AGREEMENTS.get(oid);
}

export const KEY_TRANSPORT = {
  rsa: '1.2.840.113549.1.1.1',
  oaep: '1.2.840.113549.1.1.7',
  mgf1: '1.2.840.113549.1.1.8',
  pSpecified: '1.2.840.113549.1.1.9',
} as const;

export const PASSWORD = {
  pwriKek: '1.2.840.113549.1.9.16.3.9',
  pbkdf2: '1.2.840.113549.1.5.12',
} as const;

/** Pseudo-random functions of PBKDF2 (RFC 8018 §B.1). */
export const HMACS = new Map<string, DigestName>([
  ['1.2.840.113549.2.7', 'sha1'],
  ['1.2.840.113549.2.8', 'sha224'],
  ['1.2.840.113549.2.9', 'sha256'],
  ['1.2.840.113549.2.10', 'sha384'],
  ['1.2.840.113549.2.11', 'sha512'],
]);

export const HKDF_SHA256 = '1.2.840.113549.1.9.16.3.28';

/** Key derivation of KEM recipients (RFC 9629; HKDF identifiers of RFC 8619). */
export const HKDFS = new Map<string, DigestName>([
  [HKDF_SHA256, 'sha256'],
  ['1.2.840.113549.1.9.16.3.29', 'sha384'],
  ['1.2.840.113549.1.9.16.3.30', 'sha512'],
]);
