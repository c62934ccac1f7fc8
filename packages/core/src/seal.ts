// The sealed spool: message and envelope as one ciphertext to a stage's spool key, so that neither Redis nor a disk ever holds
// mail. Each blob has a key of its own, derived for its header (version, suite, key id, tenant, message id, stage) from an HPKE
// session (spool-session.ts); its body goes in chunks, the last one marked in its associated data, so chunks cannot be cut, swapped
// or joined.

import type { KeyObject } from 'node:crypto';
import { decodeEnvelope, type Envelope, encodeEnvelope } from './envelope.ts';
import { fail } from './errors.ts';
import { encapsulatedLength, openWith, sealWith, setupReceiver, tagLength } from './hpke.ts';
import type { KeyId, StageName, TenantId } from './ids.ts';
import { messageKey, newSpoolSession, receivedKey, type SpoolSessions, sequenceLength } from './spool-session.ts';
import { readFrame, writeFrame } from './wire.ts';

const sealVersion = 1;
/** X25519, HKDF-SHA256, AES-256-GCM, 64 KiB chunks, a key exported from the session for each blob. */
const sealSuite = 2;
/** As before, with an HPKE context for each blob; read, no longer written. */
const previousSuite = 1;
/** 64 KiB: large enough that a chunk's overhead vanishes, small enough to need no second copy of a large message. */
const chunkLength = 64 * 1024;
/** Of the previous suite. */
const domain = Buffer.from('sealpost spool\0');
/** Each key seals one blob, so its pieces are numbered from here. */
const baseNonce = Buffer.alloc(12);
const middleChunk = Buffer.from([0]);
const lastChunk = Buffer.from([1]);

/** What a sealed blob is bound to. `id` is a message id for stage `crypto`, a delivery id for stage `delivery`. */
export interface SealContext {
  readonly keyId: KeyId;
  readonly tenant: TenantId;
  readonly id: string;
  readonly stage: StageName;
}

/** A message on its way: the SMTP envelope and the bytes, CRLF line ends, headers first. */
export interface SpooledMessage {
  readonly envelope: Envelope;
  readonly message: Buffer;
}

/** Seals a message to a stage's public spool key (X25519), in one of `sessions` or in one of its own. */
export function sealMessage(
  spooled: SpooledMessage,
  context: SealContext,
  recipient: KeyObject,
  sessions?: SpoolSessions,
): Buffer {
  const envelope = encodeEnvelope(spooled.envelope);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(envelope.length);
  return sealBytes([length, envelope, spooled.message], context, recipient, sessions);
}

/** Opens what `sealMessage` made for exactly this context; throws `sealed-malformed` on any difference. */
export function openMessage(sealed: Buffer, context: SealContext, privateKey: KeyObject): SpooledMessage {
  const plain = openBytes(sealed, context, privateKey);
  if (plain.length < 4) throw fail('sealed-malformed');
  const end = 4 + plain.readUInt32BE(0);
  if (end > plain.length) throw fail('sealed-malformed');
  return { envelope: decodeEnvelope(plain.subarray(4, end)), message: plain.subarray(end) };
}

/** Seals the concatenation of `parts`: header frame, encapsulated key and number within its session, chunks. */
export function sealBytes(
  parts: readonly Buffer[],
  context: SealContext,
  recipient: KeyObject,
  sessions?: SpoolSessions,
): Buffer {
  const header = headerOf(context, sealSuite);
  const { encapsulated, sequence, key } = messageKey(sessions?.of(recipient) ?? newSpoolSession(recipient), header);
  const seal = sealWith({ key, baseNonce });
  const plain = parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts);
  const sealed: Buffer[] = [header, encapsulated, sequence];
  let at = 0;
  do {
    const chunk = plain.subarray(at, at + chunkLength);
    at += chunkLength;
    sealed.push(seal(at >= plain.length ? lastChunk : middleChunk, chunk));
  } while (at < plain.length);
  return Buffer.concat(sealed);
}

/** Opens what `sealBytes` made. Errors: `version-unsupported`, `sealed-malformed`. */
export function openBytes(sealed: Buffer, context: SealContext, privateKey: KeyObject): Buffer {
  const suite = sealed[1] ?? 0;
  if (sealed[0] !== sealVersion || (suite !== sealSuite && suite !== previousSuite)) throw fail('version-unsupported');
  const header = headerOf(context, suite);
  const sequenceAt = header.length + encapsulatedLength;
  const start = suite === sealSuite ? sequenceAt + sequenceLength : sequenceAt;
  if (sealed.length < start + tagLength || !sealed.subarray(0, header.length).equals(header))
    throw fail('sealed-malformed');
  const encapsulated = sealed.subarray(header.length, sequenceAt);
  const open =
    suite === sealSuite
      ? openWith({ key: receivedKey(encapsulated, privateKey, header, sealed.subarray(sequenceAt, start)), baseNonce })
      : setupReceiver(encapsulated, privateKey, Buffer.concat([domain, header])).open;
  const opened: Buffer[] = [];
  const step = chunkLength + tagLength;
  for (let at = start; at < sealed.length; at += step) {
    const isLast = at + step >= sealed.length;
    opened.push(open(isLast ? lastChunk : middleChunk, sealed.subarray(at, at + step)));
  }
  return opened.length === 1 && opened[0] ? opened[0] : Buffer.concat(opened);
}

/** The key id that sealed bytes name, for choosing the private key before opening; nothing of it is trusted yet. */
export function sealedKeyId(sealed: Buffer): string {
  const [keyId] = readFrame(sealed, 1).fields;
  if (!keyId) throw fail('sealed-malformed');
  return keyId.toString('utf8');
}

function headerOf(context: SealContext, suite: number): Buffer {
  return writeFrame(sealVersion, suite, [context.keyId, context.tenant, context.id, context.stage]);
}
