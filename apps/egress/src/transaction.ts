// One SMTP transaction (RFC 5321 §3.3): what the next hop must be able to do (RFC 1870, RFC 6152, RFC 6531, RFC 3461), the
// hand-over of the bytes, and what every recipient was answered. A connection that ends after the last byte and before the reply
// leaves a doubt: the mail may be there, and goes again.

import { isAscii } from 'node:buffer';
import { Readable } from 'node:stream';
import type { EnvelopeRecipient, ErrorCode } from '@sealpost/core';
import type { Connection } from './connection.ts';
import { type Reply, readReply, recipientVerdict, verdictOf } from './reply.ts';

/** Pieces in which a message is handed to the socket, so that a slow peer holds back the rest. */
const pieceLength = 64 * 1024;
/** What may stand in a DSN parameter's value; ingress checked it, but a line end here would be a command. */
const parameterValue = /^[^\s\p{Cc}]+$/u;

export interface Transaction {
  readonly mailFrom: string;
  readonly recipients: readonly EnvelopeRecipient[];
  readonly ret?: 'FULL' | 'HDRS' | undefined;
  readonly envid?: string | undefined;
  /** As the client declared them. */
  readonly eightBit: boolean;
  readonly smtpUtf8: boolean;
  /** The header section is not ASCII. */
  readonly utf8Headers: boolean;
  /** The message in parts, canonical CRLF. */
  readonly message: readonly Buffer[];
  /** Asked after DATA was answered and before the first byte: a job that another process took over must not go twice. */
  mayHandOver(): Promise<boolean>;
}

/** What became of one recipient. */
export type Result =
  /** `relayed`: the next hop does not know DSN, so a success report is ours to give. */
  | { readonly kind: 'delivered'; readonly relayed: boolean; readonly reply: Reply }
  | { readonly kind: 'deferred'; readonly code: ErrorCode; readonly reply?: Reply | undefined }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly reply?: Reply | undefined };

export interface TransactionResult {
  /** In the order of the recipients. */
  readonly results: readonly Result[];
  /** The last byte was handed over and no reply came. */
  readonly doubtful: boolean;
  /** The connection was lost before any recipient was answered. */
  readonly untouched: boolean;
  /** The job is not ours any more; nothing was handed over. */
  readonly fenced: boolean;
}

/** Runs one transaction; the connection is ready for the next one after it, or closed. Never throws. */
export async function transact(connection: Connection, transaction: Transaction): Promise<TransactionResult> {
  const size = lengthOf(transaction.message);
  const lacking = lackOf(connection, transaction, size);
  if (lacking) return all(transaction, { kind: 'refused', code: lacking });

  const source = handOver(transaction);
  const dsn = connection.extensions.has('DSN');
  const replies = await connection.send({
    from: transaction.mailFrom,
    mailParameters: [
      ...(transaction.smtpUtf8 || needsUtf8(transaction) ? supported(connection, 'SMTPUTF8') : []),
      ...(dsn ? [parameter('RET', transaction.ret), parameter('ENVID', transaction.envid)].flat() : []),
    ],
    recipients: new Map(
      transaction.recipients.map(({ address, notify, orcpt }) => [
        address,
        dsn ? [parameter('NOTIFY', notify?.join(',')), parameter('ORCPT', orcpt)].flat() : [],
      ]),
    ),
    bytes: size,
    declareEightBit: transaction.eightBit || !isSevenBit(transaction),
    message: source.stream,
  });
  const decided = replies.decided === undefined ? undefined : readReply(replies.decided);
  const accepted = verdictOf(decided) === 'accepted' && source.isHandedOver();
  if (source.isFenced() || (source.isHandedOver() && !decided)) connection.destroy();
  else if (!accepted) await connection.reset();

  return {
    results: transaction.recipients.map(({ address }) => {
      const refusal = replies.refused.get(address);
      if (refusal !== undefined) {
        const reply = readReply(refusal);
        return recipientVerdict(reply) === 'refused' ? refusedBy(reply) : deferredBy(reply);
      }
      if (accepted && decided) return { kind: 'delivered', relayed: !dsn, reply: decided };
      return verdictOf(decided) === 'refused' ? refusedBy(decided) : deferredBy(decided);
    }),
    doubtful: source.isHandedOver() && !decided,
    untouched: replies.untouched && !source.isHandedOver(),
    fenced: source.isFenced(),
  };
}

/** Why this next hop cannot take this message at all. */
function lackOf(connection: Connection, transaction: Transaction, size: number): ErrorCode | undefined {
  const { extensions } = connection;
  const limit = Number(extensions.get('SIZE') || 0);
  if (limit > 0 && size > limit) return 'message-too-large';
  if (needsUtf8(transaction) && !extensions.has('SMTPUTF8')) return 'next-hop-incapable';
  // RFC 6152 §3: what was declared 8-bit may not go where that is not understood, and a signed body cannot be recoded.
  if (transaction.eightBit && !extensions.has('8BITMIME') && !isSevenBit(transaction)) return 'next-hop-incapable';
  return undefined;
}

/** RFC 6531 §3.2: addresses beyond ASCII, or a header section beyond it that the client declared. */
function needsUtf8({ mailFrom, recipients, smtpUtf8, utf8Headers }: Transaction): boolean {
  const addresses = [mailFrom, ...recipients.map(({ address }) => address)];
  return addresses.some((address) => !isAscii(Buffer.from(address))) || (smtpUtf8 && utf8Headers);
}

function lengthOf(message: readonly Buffer[]): number {
  return message.reduce((sum, part) => sum + part.length, 0);
}

function isSevenBit({ message }: Transaction): boolean {
  return message.every((part) => isAscii(part));
}

function supported(connection: Connection, keyword: string): string[] {
  return connection.extensions.has(keyword) ? [keyword] : [];
}

function parameter(keyword: string, value: string | undefined): string[] {
  return value !== undefined && parameterValue.test(value) ? [`${keyword}=${value}`] : [];
}

function refusedBy(reply: Reply | undefined): Result {
  return { kind: 'refused', code: 'next-hop-refused', reply };
}

function deferredBy(reply: Reply | undefined): Result {
  return { kind: 'deferred', code: reply ? 'next-hop-deferred' : 'next-hop-unavailable', reply };
}

function all({ recipients }: Transaction, result: Result): TransactionResult {
  return { results: recipients.map(() => result), doubtful: false, untouched: false, fenced: false };
}

interface HandOver {
  readonly stream: Readable;
  /** Every byte of the message was taken; only the final dot follows. */
  isHandedOver(): boolean;
  isFenced(): boolean;
}

function handOver({ message, mayHandOver }: Transaction): HandOver {
  let handedOver = false;
  let fenced = false;
  async function* pieces(): AsyncGenerator<Buffer> {
    fenced = !(await mayHandOver().catch(() => false));
    if (fenced) throw new Error('not ours any more');
    // Each piece is a write to the socket, and most messages are small: their parts go as one.
    const parts = lengthOf(message) <= pieceLength ? [Buffer.concat(message)] : message;
    for (const part of parts) {
      for (let at = 0; at < part.length; at += pieceLength) yield part.subarray(at, at + pieceLength);
    }
    handedOver = true;
  }
  const stream = Readable.from(pieces(), { objectMode: false });
  stream.on('error', () => {});
  return { stream, isHandedOver: () => handedOver, isFenced: () => fenced };
}
