// What somebody can read (SMIMECapabilities, RFC 8551 §2.5.2; inside a certificate RFC 4262), and what follows for a message to
// several (§2.7.1): a cipher that all of them read, and OAEP for those who do.
import type { Certificate } from '../pki/certificate.ts';
import { TAG } from '../pki/der.ts';
import { algorithmIdentifier, sequence } from '../pki/der-write.ts';
import { CIPHERS, type CipherName, cipherOf, DIGESTS, type DigestName, KEY_TRANSPORT } from './algorithms.ts';
import { BerCursor, type BerNode, berChildren } from './ber.ts';
import { MAX_ATTRIBUTES } from './limits.ts';
import { ATTRIBUTE } from './oids.ts';
import { readOaepParameters } from './rsa-transport.ts';
import { type AlgorithmId, readAlgorithm } from './signed-data.ts';

/** Capabilities that are known from elsewhere, such as a signed message (`SignerVerdict.capabilities`), by fingerprint of the certificate. */
export type KnownCapabilities = ReadonlyMap<string, readonly string[]>;

/** Ciphers we read, best first. */
export const CAPABILITIES: Buffer = sequence(
  ...(['aes-256-gcm', 'aes-128-gcm', 'chacha20-poly1305', 'aes-256-cbc', 'aes-192-cbc', 'aes-128-cbc'] as const).map(
    (name) => algorithmIdentifier(CIPHERS[name].oid),
  ),
);

/**
 * Content ciphers by the engine's names, and `rsa-oaep-DIGEST` for OAEP with one digest, best first; others are left out.
 * A hint of its author: unreadable ones are no capabilities.
 */
export function readCapabilities(node: BerNode | undefined): readonly string[] {
  if (node === undefined) return [];
  try {
    return berChildren(node, MAX_ATTRIBUTES).flatMap((entry) => nameOf(readAlgorithm(entry)) ?? []);
  } catch {
    return [];
  }
}

function nameOf(algorithm: AlgorithmId): string | undefined {
  if (algorithm.oid !== KEY_TRANSPORT.oaep) return cipherOf(algorithm.oid)?.name;
  const oaep = readOaepParameters(algorithm);
  const plain = oaep !== undefined && oaep.digest === oaep.maskDigest && oaep.label.length === 0;
  return plain ? `${OAEP}${oaep.digest}` : undefined;
}

const OAEP = 'rsa-oaep-';

/** AES-256-GCM when every recipient is known to read it, else AES-256-CBC, which every client does. */
export function chooseCipher(recipients: readonly Certificate[], known: KnownCapabilities | undefined): CipherName {
  return recipients.every((certificate) => readsGcm(certificate, known)) ? 'aes-256-gcm' : 'aes-256-cbc';
}

/** Who has a key of these kinds has S/MIME 4.0 or later, where AES-256-GCM is a must (§2.7). */
const MODERN: ReadonlySet<string> = new Set(['x25519', 'x448', 'ml-kem']);

function readsGcm(certificate: Certificate, known: KnownCapabilities | undefined): boolean {
  const said = capabilitiesOf(certificate, known);
  return said.length > 0 ? said.includes('aes-256-gcm') : MODERN.has(certificate.keyAlgorithm);
}

/** The digest for OAEP to this certificate, the first that its holder names; undefined for PKCS#1 v1.5. */
export function chooseOaep(certificate: Certificate, known: KnownCapabilities | undefined): DigestName | undefined {
  const digests = capabilitiesOf(certificate, known)
    .filter((capability) => capability.startsWith(OAEP))
    .map((capability) => capability.slice(OAEP.length));
  return digests.find(isDigest);
}

/** SHA-1 among them: what breaks it does not touch OAEP. */
function isDigest(name: string): name is DigestName {
  return Object.hasOwn(DIGESTS, name) && name !== 'md5' && name !== 'shake256';
}

/** What was heard from the holder counts before what the certificate says: it is newer. */
function capabilitiesOf(certificate: Certificate, known: KnownCapabilities | undefined): readonly string[] {
  const extension = certificate.extensions.get(ATTRIBUTE.smimeCapabilities);
  return known?.get(certificate.fingerprint) ?? (extension === undefined ? [] : inCertificate(extension.value));
}

function inCertificate(value: Buffer): readonly string[] {
  try {
    return readCapabilities(new BerCursor(value).next(TAG.sequence));
  } catch {
    return [];
  }
}
