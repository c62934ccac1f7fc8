// A backup as a file: a manifest signed by the audit key and a copy of the store, sealed (HPKE, RFC 9180) to the public key of a
// quorum in chunks, the last one marked. The rows inside are sealed by the store's own keys as they were: who opens a backup learns
// tenants and counts, and needs a slot's secret besides to get at a key.

import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { encapsulatedLength, fail, setupReceiver, setupSender, tagLength, writeFrame } from '@sealpost/core';

const backupVersion = 1;
/** X25519, HKDF-SHA256, AES-256-GCM, 1 MiB chunks. */
const backupSuite = 1;
const chunkLength = 1024 * 1024;
const signatureLength = 64;
/** A manifest is some kilobytes. */
const maxManifest = 64 * 1024;
const header = writeFrame(backupVersion, backupSuite, ['sealpost backup']);
const [middle, last] = [Buffer.from([0]), Buffer.from([1])];

/** What the service says of the store that it saved; hashes in hex, bytes in base64. */
export interface Manifest {
  /** 1: the store follows as the SQLite file that it was; 2: as store/copy.ts writes it. */
  readonly v: 1 | 2;
  readonly createdAt: string;
  readonly store: string;
  /** The audit log's signed head when the copy was made, and the key that signed it and this. */
  readonly head: string;
  readonly key: string;
  readonly sha256: string;
  readonly canary: Canary;
}

/** A value that only a key of the store opens. */
export interface Canary {
  readonly keyId: string;
  readonly encapsulated: string;
  readonly sealed: string;
  readonly sha256: string;
}

export interface Backup {
  readonly manifest: Manifest;
  readonly store: Buffer;
}

/** What the audit key signs: this and nothing else has this form. */
export function signedForm(kind: 'backup' | 'drill', bytes: Buffer): Buffer {
  return writeFrame(backupVersion, backupSuite, [`sealpost ${kind}`, createHash('sha256').update(bytes).digest()]);
}

export function sha256Of(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** `sign`: by the audit key that the manifest names. */
export function sealBackup({ manifest, store }: Backup, sign: (form: Buffer) => Buffer, recipient: KeyObject): Buffer {
  const text = Buffer.from(JSON.stringify(manifest));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length);
  const plain = Buffer.concat([length, text, sign(signedForm('backup', text)), store]);
  const sender = setupSender(recipient, header);
  const parts = [header, sender.encapsulated];
  for (let at = 0; at < plain.length; at += chunkLength) {
    parts.push(sender.seal(at + chunkLength >= plain.length ? last : middle, plain.subarray(at, at + chunkLength)));
  }
  return Buffer.concat(parts);
}

/** Opens what `sealBackup` made, whole and signed by the key that its manifest names. Errors: `version-unsupported`, `sealed-malformed`. */
export function openBackup(sealed: Buffer, privateKey: KeyObject): Backup {
  if (sealed[0] !== backupVersion || sealed[1] !== backupSuite) throw fail('version-unsupported');
  const start = header.length + encapsulatedLength;
  if (sealed.length < start + tagLength || !sealed.subarray(0, header.length).equals(header))
    throw fail('sealed-malformed');
  const receiver = setupReceiver(sealed.subarray(header.length, start), privateKey, header);
  const opened: Buffer[] = [];
  const step = chunkLength + tagLength;
  for (let at = start; at < sealed.length; at += step) {
    opened.push(receiver.open(at + step >= sealed.length ? last : middle, sealed.subarray(at, at + step)));
  }
  return read(Buffer.concat(opened));
}

function read(plain: Buffer): Backup {
  const length = plain.length < 4 ? Number.POSITIVE_INFINITY : plain.readUInt32BE(0);
  const end = 4 + length + signatureLength;
  if (length > maxManifest || plain.length < end) throw fail('sealed-malformed');
  const text = plain.subarray(4, 4 + length);
  const store = plain.subarray(end);
  let manifest: Manifest;
  try {
    manifest = JSON.parse(text.toString('utf8')) as Manifest;
  } catch {
    throw fail('sealed-malformed');
  }
  if (manifest.v !== 1 && manifest.v !== 2) throw fail('version-unsupported');
  if (!isSigned('backup', text, plain.subarray(4 + length, end), manifest.key) || sha256Of(store) !== manifest.sha256)
    throw fail('sealed-malformed');
  return { manifest, store };
}

/** `key`: SPKI in base64. */
export function isSigned(kind: 'backup' | 'drill', bytes: Buffer, signature: Buffer, key: string): boolean {
  try {
    const publicKey = createPublicKey({ key: Buffer.from(key, 'base64'), format: 'der', type: 'spki' });
    return publicKey.asymmetricKeyType === 'ed25519' && verify(null, signedForm(kind, bytes), publicKey, signature);
  } catch {
    return false;
  }
}
