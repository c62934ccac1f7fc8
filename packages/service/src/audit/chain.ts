// One line of the audit log: JSON with version and suite, its number, the hash of the line before it, and last its own hash over
// the bytes before. Whoever changes, drops or reorders a line breaks every later one.

import { createHash } from 'node:crypto';

const recordVersion = 1;
/** SHA-256. */
const recordSuite = 1;
const domain = 'sealpost audit\0';
/** `,"hash":"…"}` with 64 hex digits. */
const sealLength = 75;
/** Longest line that a reader takes; a record is some 600 bytes. */
export const maxLine = 16 * 1024;

/** Where a chain stands: number and hash of its last line. */
export interface ChainHead {
  readonly seq: number;
  readonly hash: string;
}

/** Before the first line. */
export const chainStart: ChainHead = { seq: 0, hash: '0'.repeat(64) };

/** What happened. Addresses are keyed hashes; nothing here is a secret. */
export interface AuditEntry {
  readonly at: Date;
  /** `intent` stands before an operation, `outcome` after it, `event` for what the service did or refused by itself. */
  readonly kind: 'intent' | 'outcome' | 'event';
  readonly operation: string;
  /** Ties an outcome to its intent. */
  readonly request: string;
  readonly actor: { readonly role: string; readonly name: string; readonly certificate?: string };
  readonly tenant?: string;
  /** `tenant/keyed hash of the identity/use/version`. */
  readonly key?: string;
  readonly address?: string;
  readonly message?: string;
  readonly lease?: string;
  readonly until?: string;
  /** Label of a seal slot. */
  readonly slot?: string;
  readonly instance?: string;
  readonly certificate?: string;
  /** State of a key after a step, and before it where it had one. */
  readonly state?: string;
  readonly was?: string;
  /** What was requested to be done under dual control, and the id and SHA-256 of that request. */
  readonly act?: string;
  readonly approval?: string;
  /** SHA-256 of the request, or of the policy that now holds. */
  readonly digest?: string;
  /** Whom it is about, where that is not the actor: `role/name`. */
  readonly person?: string;
  /** Number and hash of the last record known of a log that this one replaces. */
  readonly replaces?: string;
  /** `ok`, or the code of what stopped it. */
  readonly result?: string;
  readonly count?: number;
  /** How many changes the key store had; one with less is an older one that was put back. */
  readonly commits?: number;
}

/** The head before it, signed: what is above it cannot be rewritten by whoever lacks the store's audit key. */
export interface Checkpoint {
  readonly at: Date;
  readonly kind: 'checkpoint';
  /** As signed-head.ts writes it. */
  readonly head: string;
  /** The public key, SPKI in base64. */
  readonly key: string;
  readonly commits?: number;
}

/** What stands in a line that was read: dates as ISO 8601. */
export type AuditRecord = ChainHead &
  ((Omit<AuditEntry, 'at'> & { readonly at: string }) | (Omit<Checkpoint, 'at'> & { readonly at: string }));

/** The next line with its line feed, and the head after it. */
export function chainLine(entry: AuditEntry | Checkpoint, head: ChainHead): { line: string; head: ChainHead } {
  const seq = head.seq + 1;
  const { at, kind, ...rest } = entry;
  const start = { v: recordVersion, suite: recordSuite, seq, at: at.toISOString(), prev: head.hash };
  const body = JSON.stringify({ ...start, kind, ...rest });
  const hash = hashOf(body.slice(0, -1));
  return { line: `${body.slice(0, -1)},"hash":"${hash}"}\n`, head: { seq, hash } };
}

/** The head after a line (without its line feed) that follows `head`; undefined when it does not follow or is not genuine. */
export function followLine(line: string, head: ChainHead): ChainHead | undefined {
  const body = line.slice(0, -sealLength);
  const hash = /^,"hash":"([0-9a-f]{64})"\}$/.exec(line.slice(-sealLength))?.[1];
  const seq = head.seq + 1;
  const opening = openingOf(seq);
  if (!hash || !body.startsWith(opening) || hashOf(body) !== hash) return undefined;
  if (/^"at":"[^"]+","prev":"([0-9a-f]{64})"/.exec(body.slice(opening.length))?.[1] !== head.hash) return undefined;
  return { seq, hash };
}

/** Whether bytes are the beginning of a line that could follow `head`: what a crash leaves of one. */
export function beginsLine(bytes: Buffer, head: ChainHead): boolean {
  const opening = Buffer.from(`${openingOf(head.seq + 1)}"at":"`);
  const length = Math.min(bytes.length, opening.length);
  return bytes.subarray(0, length).equals(opening.subarray(0, length)) && !bytes.includes(10);
}

function openingOf(seq: number): string {
  return `{"v":${recordVersion},"suite":${recordSuite},"seq":${seq},`;
}

function hashOf(body: string): string {
  return createHash('sha256').update(domain).update(body).digest('hex');
}
