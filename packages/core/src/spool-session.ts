// Sessions of the sealed spool: one HPKE encapsulation (RFC 9180 base mode) serves the messages that a stage seals to a key within a
// moment, since the exchange costs more than all else about a small message. From the session's exporter (§5.3) each message gets a
// key of its own, bound to its header and its number in the session, so no two messages share a key, whatever is sealed twice.

import type { KeyObject } from 'node:crypto';
import { type HpkeExport, setupReceiver, setupSender } from './hpke.ts';

export const sequenceLength = 4;
/** Sessions that a reader remembers for a key: some seconds of a large cluster. */
const maxRemembered = 256;
const info = Buffer.from('sealpost spool session\0');

/** A sender's side. Whoever holds it can read what was sealed in it. */
export interface SpoolSession {
  readonly encapsulated: Buffer;
  readonly export: HpkeExport;
  /** Messages sealed so far. */
  count: number;
}

/** What one process seals with. */
export interface SpoolSessions {
  /** The session for a stage's public spool key (X25519) that serves now. */
  of(recipient: KeyObject): SpoolSession;
}

export function newSpoolSession(recipient: KeyObject): SpoolSession {
  const { encapsulated, export: derive } = setupSender(recipient, info);
  return { encapsulated, export: derive, count: 0 };
}

/** The key for the session's next message: 32 bytes, never given twice. */
export function messageKey(session: SpoolSession, header: Buffer) {
  const sequence = Buffer.alloc(sequenceLength);
  sequence.writeUInt32BE(session.count++);
  return { encapsulated: session.encapsulated, sequence, key: session.export(Buffer.concat([header, sequence])) };
}

/** Goes with the private key, which could derive them all again. */
const received = new WeakMap<KeyObject, Map<string, HpkeExport>>();

/** The same key on the reader's side. Error: `sealed-malformed`. */
export function receivedKey(encapsulated: Buffer, privateKey: KeyObject, header: Buffer, sequence: Buffer): Buffer {
  const sessions = received.get(privateKey) ?? new Map<string, HpkeExport>();
  received.set(privateKey, sessions);
  const name = encapsulated.toString('latin1');
  let derive = sessions.get(name);
  if (!derive) {
    derive = setupReceiver(encapsulated, privateKey, info).export;
    if (sessions.size >= maxRemembered) sessions.delete(sessions.keys().next().value ?? '');
    sessions.set(name, derive);
  }
  return derive(Buffer.concat([header, sequence]));
}
