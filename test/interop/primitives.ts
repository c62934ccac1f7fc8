// Wycheproof: the vectors for what the engine does with keys, given to the functions that open and verify. Where the engine adds rules of
// its own to libcrypto's (OAEP with two digests, PSS parameters, v1.5 without an outcome, short tags), these are held against the vectors.

import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import {
  CIPHERS,
  type CipherName,
  DIGESTS,
  type DigestName,
  KEY_TRANSPORT,
  type SignatureScheme,
  WRAPS,
} from '../../packages/smime/src/cms/algorithms.ts';
import { decryptContent } from '../../packages/smime/src/cms/content-cipher.ts';
import { unwrapKey } from '../../packages/smime/src/cms/key-wrap.ts';
import { decryptOaep, decryptPkcs1 } from '../../packages/smime/src/cms/rsa-transport.ts';
import { verifyOctets } from '../../packages/smime/src/cms/signature.ts';
import { readAlgorithm } from '../../packages/smime/src/cms/signed-data.ts';
import { readDer, TAG } from '../../packages/smime/src/pki/der.ts';
import { algorithmIdentifier, explicit, NULL, octetString, sequence } from '../../packages/smime/src/pki/der-write.ts';
import type { Case } from './case.ts';
import { read, rowsOf } from './material.ts';
import { ecdh, hkdf, mlKem, xdh } from './shared-secrets.ts';
import { type Group, hex, type Judge, type Vector } from './vector.ts';

const judges: Readonly<Record<string, Judge>> = {
  RsaesOaepDecrypt: oaep,
  RsaesPkcs1Decrypt: pkcs1,
  RsassaPssVerify: pss,
  RsassaPssWithParametersVerify: pss,
  RsassaPkcs1Verify: (group) => signature(group, 'rsa-pkcs1'),
  EcdsaVerify: (group) => signature(group, 'ecdsa'),
  EddsaVerify: (group, file) => signature(group, file.includes('ed448') ? 'ed448' : 'ed25519'),
  MlDsaVerify: (group, file) => signature(group, `ml-dsa-${/mldsa_(\d+)/.exec(file)?.[1]}` as SignatureScheme),
  KeywrapTest: wrap,
  AeadTest: aead,
  IndCpaTest: cbc,
  EcdhTest: ecdh,
  XdhComp: xdh,
  MLKEMTest: mlKem,
  HkdfTest: hkdf,
};

/** AES-KWP (RFC 5649): CMS names it, no S/MIME profile uses it, and the engine has it not. */
const notDone = /\/aes_kwp/;

export function primitiveCases(): Case[] {
  return rowsOf('wycheproof')
    .filter(({ file }) => !notDone.test(file))
    .map(({ set, file }) => ({ set, name: file, run: () => judgeFile(file) }));
}

function judgeFile(file: string): void {
  const { testGroups } = JSON.parse(gunzipSync(read(file)).toString('utf8')) as { testGroups: readonly Group[] };
  const wrong: string[] = [];
  for (const group of testGroups) {
    const takes = judges[group.type]?.(group, file);
    for (const vector of takes === undefined ? [] : group.tests) {
      if (vector.result === 'acceptable' || isNoneOfCms(vector)) continue;
      const taken = takes?.(vector) ?? false;
      if (taken !== (vector.result === 'valid')) wrong.push(`${vector.tcId} ${vector.comment} is ${vector.result}`);
    }
  }
  assert.deepEqual(wrong, []);
}

/** Signatures in CMS have no context (RFC 9882 §3.1), and nobody wraps keys of more than 64 octets: the engine refuses them. */
function isNoneOfCms({ ctx = '', comment }: Vector): boolean {
  return ctx !== '' || comment === 'Round counter larger than 256';
}

/** The engine's name of a digest, or undefined for one that it has not. */
function digestOf(name = ''): DigestName | undefined {
  const spelled = name.toLowerCase().replace('sha-', 'sha').replace('/', '-');
  return Object.hasOwn(DIGESTS, spelled) ? (spelled as DigestName) : undefined;
}

function privateKeyOf({ privateKeyPkcs8, privateKey }: Group) {
  return createPrivateKey({ key: hex(privateKeyPkcs8 ?? privateKey?.privateKeyPkcs8), format: 'der', type: 'pkcs8' });
}

function oaep(group: Group): ReturnType<Judge> {
  const [digest, mask] = [digestOf(group.sha), digestOf(group.mgfSha)];
  if (digest === undefined || mask === undefined) return undefined;
  const key = privateKeyOf(group);
  const hash = (name: DigestName) => algorithmIdentifier(DIGESTS[name].oid, NULL);
  return ({ ct, msg, label }) => {
    const source = algorithmIdentifier(KEY_TRANSPORT.pSpecified, octetString(hex(label)));
    const mgf = algorithmIdentifier(KEY_TRANSPORT.mgf1, hash(mask));
    const parameters = sequence(explicit(0, hash(digest)), explicit(1, mgf), explicit(2, source));
    const algorithm = readAlgorithm(readDer(algorithmIdentifier(KEY_TRANSPORT.oaep, parameters), TAG.sequence));
    return decryptOaep(key, algorithm, hex(ct))?.equals(hex(msg)) ?? false;
  };
}

/** There is always a key: valid means that it is the right one. */
function pkcs1(group: Group): ReturnType<Judge> {
  const key = privateKeyOf(group);
  return ({ ct, msg = '', result }) => {
    const length = msg.length === 0 ? 32 : msg.length / 2;
    const found = decryptPkcs1(key, hex(ct), length);
    assert.equal(found.length, length);
    // An empty content key fits no cipher, so what stands in for it is right as well.
    return msg.length === 0 ? result === 'valid' : found.equals(hex(msg));
  };
}

function signature({ publicKeyDer, sha }: Group, scheme: SignatureScheme): ReturnType<Judge> {
  const digest = digestOf(sha ?? 'SHA-512');
  if (digest === undefined) return undefined;
  let key: ReturnType<typeof createPublicKey>;
  try {
    key = createPublicKey({ key: hex(publicKeyDer), format: 'der', type: 'spki' });
  } catch {
    return () => false;
  }
  return ({ msg, sig }) => verifyOctets({ key, scheme, digest, octets: [hex(msg)], signature: hex(sig) });
}

function pss({ publicKeyDer, sha, mgfSha, sLen = 0 }: Group): ReturnType<Judge> {
  const [digest, mgfDigest] = [digestOf(sha), digestOf(mgfSha)];
  if (digest === undefined || mgfDigest === undefined) return undefined;
  const key = createPublicKey({ key: hex(publicKeyDer), format: 'der', type: 'spki' });
  const parameters = { digest, mgfDigest, saltLength: sLen };
  return ({ msg, sig }) =>
    verifyOctets({ key, scheme: 'rsa-pss', digest, pss: parameters, octets: [hex(msg)], signature: hex(sig) });
}

function wrap({ keySize }: Group): ReturnType<Judge> {
  const algorithm = WRAPS[`aes-${keySize}-wrap` as keyof typeof WRAPS];
  return ({ key, ct, msg }) => unwrapKey(algorithm, hex(key), hex(ct))?.equals(hex(msg)) ?? false;
}

function aead({ keySize, ivSize, tagSize }: Group, file: string): ReturnType<Judge> {
  const mode = /aes_(gcm|ccm)/.exec(file)?.[1];
  const name = mode === undefined ? 'chacha20-poly1305' : `aes-${keySize}-${mode}`;
  const cipher = CIPHERS[name as CipherName];
  const tagLength = Number(tagSize) / 8;
  // Nonces and tags that the parameters of CMS cannot name, or that the engine refuses for their length, never get this far.
  const [shortest, longest] = mode === 'gcm' ? [1, 64] : mode === 'ccm' ? [7, 13] : [12, 12];
  const nonce = Number(ivSize) / 8;
  if (nonce < shortest || nonce > longest || tagLength < 12) return undefined;
  return ({ key, iv, aad, ct, tag, msg }) => {
    const content = {
      contentType: '',
      cipher: readAlgorithm(readDer(algorithmIdentifier(cipher.oid), TAG.sequence)),
      ciphertext: [hex(ct)],
    };
    const authenticated = { tag: hex(tag), associatedData: (aad ?? '') === '' ? undefined : hex(aad) };
    const setting = { cipher, keyLength: cipher.keyLength, iv: hex(iv), tagLength };
    return decryptContent({ recipients: [], content, authenticated }, setting, hex(key))?.equals(hex(msg)) ?? false;
  };
}

function cbc({ keySize }: Group): ReturnType<Judge> {
  const cipher = CIPHERS[`aes-${keySize}-cbc` as CipherName];
  return ({ key, iv, ct, msg }) => {
    const content = {
      contentType: '',
      cipher: readAlgorithm(readDer(algorithmIdentifier(cipher.oid), TAG.sequence)),
      ciphertext: [hex(ct)],
    };
    const setting = { cipher, keyLength: cipher.keyLength, iv: hex(iv), tagLength: 0 };
    return decryptContent({ recipients: [], content }, setting, hex(key))?.equals(hex(msg)) ?? false;
  };
}
