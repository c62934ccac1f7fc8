// The SMTP envelope (RFC 5321) with its DSN parameters (RFC 3461) as the pipeline carries it: inside the sealed blob only.
// Its encoding is canonical, because tickets name the envelope by hash and the key service recomputes that hash.

import { createHash, randomBytes } from 'node:crypto';
import { fail } from './errors.ts';

export interface EnvelopeRecipient {
  readonly address: string;
  /** NOTIFY values in upper case (RFC 3461 §4.1); absent when the client gave none. */
  readonly notify?: readonly NotifyWhen[];
  /** ORCPT as given, `type;xtext` (RFC 3461 §4.2). */
  readonly orcpt?: string;
}

export type NotifyWhen = 'NEVER' | 'SUCCESS' | 'FAILURE' | 'DELAY';

export interface Envelope {
  /** MAIL FROM, the empty string for the null sender `<>`. */
  readonly mailFrom: string;
  /** The one address of the From header field as ingress checked it; empty where it was not demanded (inbound). */
  readonly headerFrom: string;
  readonly recipients: readonly EnvelopeRecipient[];
  /** RET (RFC 3461 §4.3). */
  readonly ret?: 'FULL' | 'HDRS';
  /** ENVID, xtext as given (RFC 3461 §4.4). */
  readonly envid?: string;
  /** The client declared BODY=8BITMIME (RFC 6152). */
  readonly eightBit: boolean;
  /** The client declared SMTPUTF8 (RFC 6531). */
  readonly smtpUtf8: boolean;
  /** Random: who reads a ticket in Redis and guesses an envelope cannot find out by its hash whether the guess is right. */
  readonly salt: string;
}

/** A salt for a new envelope: 16 random bytes, base64url. */
export function envelopeSalt(): string {
  return randomBytes(16).toString('base64url');
}

const notifyWords: readonly string[] = ['NEVER', 'SUCCESS', 'FAILURE', 'DELAY'];

/** One byte sequence for one envelope: JSON with fixed field order, UTF-8. */
export function encodeEnvelope(envelope: Envelope): Buffer {
  const { mailFrom, headerFrom, ret, envid, eightBit, smtpUtf8, salt } = envelope;
  const recipients = envelope.recipients.map(({ address, notify, orcpt }) => ({ address, notify, orcpt }));
  return Buffer.from(
    JSON.stringify({ mailFrom, headerFrom, recipients, ret, envid, eightBit, smtpUtf8, salt }),
    'utf8',
  );
}

/** Reads an encoded envelope; throws `envelope-mismatch` for anything that `encodeEnvelope` would not have written. */
export function decodeEnvelope(bytes: Buffer): Envelope {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw fail('envelope-mismatch');
  }
  if (!isEnvelope(value) || !encodeEnvelope(value).equals(bytes)) throw fail('envelope-mismatch');
  return value;
}

/** SHA-256 of the canonical encoding; tickets carry it. */
export function envelopeHash(envelope: Envelope): Buffer {
  return createHash('sha256').update(encodeEnvelope(envelope)).digest();
}

function isEnvelope(value: unknown): value is Envelope {
  if (!isRecord(value)) return false;
  const { mailFrom, headerFrom, recipients, ret, envid, eightBit, smtpUtf8, salt } = value;
  return (
    typeof mailFrom === 'string' &&
    typeof headerFrom === 'string' &&
    Array.isArray(recipients) &&
    recipients.every(isRecipient) &&
    (ret === undefined || ret === 'FULL' || ret === 'HDRS') &&
    (envid === undefined || typeof envid === 'string') &&
    typeof eightBit === 'boolean' &&
    typeof smtpUtf8 === 'boolean' &&
    typeof salt === 'string'
  );
}

function isRecipient(value: unknown): value is EnvelopeRecipient {
  if (!isRecord(value)) return false;
  const { address, notify, orcpt } = value;
  return (
    typeof address === 'string' &&
    (orcpt === undefined || typeof orcpt === 'string') &&
    (notify === undefined || (Array.isArray(notify) && notify.every((word) => notifyWords.includes(word))))
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
