// SubjectPublicKeyInfo algorithms by OID (RFC 3279, 5480, 8410, 9881, 9935, 9909).
import { children, type DerNode, readOid, TAG } from './der.ts';

export type KeyAlgorithm =
  | 'rsa'
  | 'rsa-pss'
  | 'rsa-oaep'
  | 'dsa'
  | 'ec'
  | 'ed25519'
  | 'ed448'
  | 'x25519'
  | 'x448'
  | 'ml-dsa'
  | 'ml-kem'
  | 'slh-dsa'
  | 'unknown';

const BY_OID: Readonly<Record<string, KeyAlgorithm>> = {
  '1.2.840.113549.1.1.1': 'rsa',
  '1.2.840.113549.1.1.10': 'rsa-pss',
  '1.2.840.113549.1.1.7': 'rsa-oaep',
  '1.2.840.10040.4.1': 'dsa',
  '1.2.840.10045.2.1': 'ec',
  '1.3.101.112': 'ed25519',
  '1.3.101.113': 'ed448',
  '1.3.101.110': 'x25519',
  '1.3.101.111': 'x448',
  '2.16.840.1.101.3.4.3.17': 'ml-dsa',
  '2.16.840.1.101.3.4.3.18': 'ml-dsa',
  '2.16.840.1.101.3.4.3.19': 'ml-dsa',
  '2.16.840.1.101.3.4.4.1': 'ml-kem',
  '2.16.840.1.101.3.4.4.2': 'ml-kem',
  '2.16.840.1.101.3.4.4.3': 'ml-kem',
};

/** `oid` is the algorithm's, `parameters` the whole element (a curve's OID, DSA domain parameters) or undefined. */
export interface KeyType {
  readonly algorithm: KeyAlgorithm;
  readonly oid: string;
  readonly parameters: DerNode | undefined;
}

export function readKeyType(spki: DerNode): KeyType {
  const [identifier] = children(spki, 2);
  const [type, parameters] = identifier === undefined ? [] : children(identifier, 2);
  const oid = type?.tag === TAG.oid ? readOid(type) : '';
  // SLH-DSA has twelve parameter sets: 2.16.840.1.101.3.4.3.20 to .31 (RFC 9909).
  const slh = /^2\.16\.840\.1\.101\.3\.4\.3\.(2\d|3[01])$/.test(oid);
  return { algorithm: BY_OID[oid] ?? (slh ? 'slh-dsa' : 'unknown'), oid, parameters };
}
