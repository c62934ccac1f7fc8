// Signatures on certificates, CRLs and OCSP responses: AlgorithmIdentifier → a check by node:crypto
// (RFC 3279, 4055, 5758, 8410, 8692, 9814, 9881). MD5 and older are not in the table, so they never verify.
import { constants, type KeyObject, verify } from 'node:crypto';
import { context, type DerCursor, type DerNode, enter, readDer, readOid, readSmallInteger, TAG } from './der.ts';
import type { KeyAlgorithm } from './key-algorithm.ts';

export interface SignatureScheme {
  /** Key algorithm that the identifier demands. */
  readonly key: KeyAlgorithm;
  /** Digest by node's name; null where the scheme takes the whole message. */
  readonly digest: string | null;
  readonly saltLength?: number;
}

function scheme(key: KeyAlgorithm, digest: string | null): SignatureScheme {
  return { key, digest };
}

const BY_OID: ReadonlyMap<string, SignatureScheme> = new Map([
  ['1.2.840.113549.1.1.5', scheme('rsa', 'sha1')],
  ['1.3.14.3.2.29', scheme('rsa', 'sha1')],
  ['1.2.840.113549.1.1.14', scheme('rsa', 'sha224')],
  ['1.2.840.113549.1.1.11', scheme('rsa', 'sha256')],
  ['1.2.840.113549.1.1.12', scheme('rsa', 'sha384')],
  ['1.2.840.113549.1.1.13', scheme('rsa', 'sha512')],
  ['1.2.840.113549.1.1.16', scheme('rsa', 'sha512-256')],
  ['2.16.840.1.101.3.4.3.14', scheme('rsa', 'sha3-256')],
  ['2.16.840.1.101.3.4.3.15', scheme('rsa', 'sha3-384')],
  ['2.16.840.1.101.3.4.3.16', scheme('rsa', 'sha3-512')],
  ['1.2.840.10040.4.3', scheme('dsa', 'sha1')],
  ['2.16.840.1.101.3.4.3.1', scheme('dsa', 'sha224')],
  ['2.16.840.1.101.3.4.3.2', scheme('dsa', 'sha256')],
  ['1.2.840.10045.4.1', scheme('ec', 'sha1')],
  ['1.2.840.10045.4.3.1', scheme('ec', 'sha224')],
  ['1.2.840.10045.4.3.2', scheme('ec', 'sha256')],
  ['1.2.840.10045.4.3.3', scheme('ec', 'sha384')],
  ['1.2.840.10045.4.3.4', scheme('ec', 'sha512')],
  ['2.16.840.1.101.3.4.3.10', scheme('ec', 'sha3-256')],
  ['2.16.840.1.101.3.4.3.11', scheme('ec', 'sha3-384')],
  ['2.16.840.1.101.3.4.3.12', scheme('ec', 'sha3-512')],
  ['1.3.101.112', scheme('ed25519', null)],
  ['1.3.101.113', scheme('ed448', null)],
  ['2.16.840.1.101.3.4.3.17', scheme('ml-dsa', null)],
  ['2.16.840.1.101.3.4.3.18', scheme('ml-dsa', null)],
  ['2.16.840.1.101.3.4.3.19', scheme('ml-dsa', null)],
  ...Array.from({ length: 12 }, (_, i): [string, SignatureScheme] => [
    `2.16.840.1.101.3.4.3.${20 + i}`,
    scheme('slh-dsa', null),
  ]),
]);

const RSASSA_PSS = '1.2.840.113549.1.1.10';
const MGF1 = '1.2.840.113549.1.1.8';

const DIGESTS: Readonly<Record<string, string>> = {
  '1.3.14.3.2.26': 'sha1',
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
  '2.16.840.1.101.3.4.2.4': 'sha224',
};

/** The scheme of a signature AlgorithmIdentifier (whole element), or undefined when this engine does not do it. */
export function signatureScheme(identifier: Buffer): SignatureScheme | undefined {
  try {
    const cursor = enter(readDer(identifier, TAG.sequence));
    const oid = readOid(cursor.next(TAG.oid));
    return oid === RSASSA_PSS ? pssScheme(cursor) : BY_OID.get(oid);
  } catch {
    return undefined;
  }
}

/** RSASSA-PSS-params (RFC 4055 §3.1). In certificates the mask digest is always the message digest; another is refused. */
function pssScheme(cursor: DerCursor): SignatureScheme | undefined {
  const parameters = cursor.done ? undefined : enter(cursor.next(TAG.sequence));
  const field = (n: number): DerNode | undefined => {
    const wrapped = parameters?.optional(context(n, true));
    return wrapped === undefined ? undefined : readDer(wrapped.content);
  };
  const hash = field(0);
  const mask = field(1);
  const salt = field(2);
  const digest = hash === undefined ? 'sha1' : DIGESTS[readOid(enter(hash).next(TAG.oid))];
  let maskDigest: string | undefined = 'sha1';
  if (mask !== undefined) {
    const inner = enter(mask);
    if (readOid(inner.next(TAG.oid)) !== MGF1) return undefined;
    maskDigest = DIGESTS[readOid(enter(inner.next(TAG.sequence)).next(TAG.oid))];
  }
  if (digest === undefined || digest !== maskDigest) return undefined;
  return { key: 'rsa-pss', digest, saltLength: salt === undefined ? 20 : readSmallInteger(salt) };
}

/** True when `signature` over `data` is good. Never throws: a key that does not fit the scheme is a bad signature. */
function verifySignature(scheme: SignatureScheme, key: KeyObject, data: Buffer, signature: Buffer): boolean {
  if (!fits(scheme.key, key.asymmetricKeyType ?? '')) return false;
  try {
    if (scheme.saltLength === undefined) return verify(scheme.digest, data, key, signature);
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    return verify(scheme.digest, data, { key, padding, saltLength: scheme.saltLength }, signature);
  } catch {
    return false;
  }
}

/** What CRLs, certificates and OCSP responses have in common. */
export interface SignedObject {
  readonly tbs: Buffer;
  readonly signatureAlgorithm: Buffer;
  readonly signature: Buffer;
}

const checked = new WeakMap<SignedObject, WeakMap<KeyObject, boolean>>();

/** verifySignature with a memory: a certificate that signs a thousand mails is checked against its issuer once. */
export function isSignedBy(item: SignedObject, key: KeyObject): boolean {
  const results = checked.get(item) ?? new WeakMap<KeyObject, boolean>();
  checked.set(item, results);
  let good = results.get(key);
  if (good === undefined) {
    const scheme = signatureScheme(item.signatureAlgorithm);
    good = scheme !== undefined && verifySignature(scheme, key, item.tbs, item.signature);
    results.set(key, good);
  }
  return good;
}

function fits(wanted: KeyAlgorithm, type: string): boolean {
  // An rsaEncryption key may make PSS signatures (RFC 4055 §1.2), a PSS key nothing else.
  if (wanted === 'rsa-pss') return type === 'rsa' || type === 'rsa-pss';
  return type === wanted || (type.startsWith(`${wanted}-`) && type !== 'rsa-pss');
}
