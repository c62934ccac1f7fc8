// One SMTP session with a next hop (RFC 5321, RFC 3207) on nodemailer's SMTPConnection, as promises that always end: with a reply,
// with the connection's loss, or at a deadline. The only file that knows how nodemailer works inside.

import type { Readable } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { fail } from '@sealpost/core';
import { type Labels, tlsFailure, tlsVersion } from '@sealpost/service';
import SMTPConnection, { type SMTPConnectionEnvelope } from 'nodemailer/lib/smtp-connection';

/** A reply is a few lines; a peer that sends more never means to end it. */
const maxReplyBytes = 64 * 1024;
/** Slowest link that is still worth waiting for; bounds a peer that takes a message byte by byte. */
const slowestBytesPerSecond = 10_000;
/** Politeness of QUIT must not keep a socket. */
const quitMs = 2_000;

type TlsMode = 'off' | 'opportunistic' | 'required' | 'verified';

export interface Peer {
  readonly host: string;
  readonly port: number;
  /** Our name in EHLO. */
  readonly helloName: string;
  readonly tls: TlsMode;
  /** PEM of the roots for `verified`; undefined for those of the system. */
  readonly ca?: string | undefined;
  readonly serverName?: string | undefined;
  readonly login?: { readonly user: string; readonly pass: string } | undefined;
  /** For connecting, greeting, TLS and login together. */
  readonly connectMs: number;
  /** For silence after that. */
  readonly replyMs: number;
  /** Told how each session came to TLS, or why it did not. */
  readonly onTls?: (result: TlsResult) => void;
}

export type TlsResult = Labels<'sealpost_route_sessions_total'>['tls'];

interface SendRequest {
  /** Empty for the null sender. */
  readonly from: string;
  /** Further parameters of MAIL FROM, ready to send. */
  readonly mailParameters: readonly string[];
  /** Addresses, each with its further parameters of RCPT TO. */
  readonly recipients: ReadonlyMap<string, readonly string[]>;
  readonly bytes: number;
  readonly declareEightBit: boolean;
  /** Canonical CRLF; dots are stuffed here. */
  readonly message: Readable;
}

interface SendReplies {
  /** What RCPT was answered with, for refused addresses. */
  readonly refused: ReadonlyMap<string, string>;
  /** The reply to MAIL, DATA or the message, which decided for all others; undefined where the connection was lost before. */
  readonly decided: string | undefined;
  /** Lost before any recipient was answered: a kept connection may have died unnoticed. */
  readonly untouched: boolean;
}

export interface Connection {
  /** EHLO keywords in upper case with their parameters; empty after HELO. */
  readonly extensions: ReadonlyMap<string, string>;
  isOpen(): boolean;
  /** Never throws. */
  send(request: SendRequest): Promise<SendReplies>;
  /** RSET; false where the connection is of no more use. */
  reset(): Promise<boolean>;
  onClose(listener: () => void): void;
  /** QUIT, then close. */
  quit(): void;
  /** At once, without the final dot of a message under way. */
  destroy(): void;
}

/** Opens a session ready for MAIL. Errors: `next-hop-unavailable`, `next-hop-tls`. */
export async function connect(peer: Peer): Promise<Connection> {
  try {
    return await connectOnce(peer, peer.tls === 'off');
  } catch (error) {
    // Opportunistic means that broken TLS is no worse than none (RFC 7435): once more in clear.
    if (peer.tls === 'opportunistic' && isTlsFailure(error)) return await connectOnce(peer, true);
    throw error;
  }
}

const isTlsFailure = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'next-hop-tls';

async function connectOnce(peer: Peer, plain: boolean): Promise<Connection> {
  const smtp = new SMTPConnection({
    host: peer.host,
    port: peer.port,
    name: peer.helloName,
    secure: false,
    ignoreTLS: plain,
    requireTLS: peer.tls === 'required' || peer.tls === 'verified',
    tls: {
      minVersion: 'TLSv1.2',
      rejectUnauthorized: peer.tls === 'verified',
      ...(peer.ca === undefined ? {} : { ca: peer.ca }),
      ...(peer.serverName === undefined ? {} : { servername: peer.serverName }),
    },
    connectionTimeout: peer.connectMs,
    greetingTimeout: peer.connectMs,
    socketTimeout: peer.replyMs,
    socketCloseTimeout: 0,
    maxResponseSize: maxReplyBytes,
    allowInternalNetworkInterfaces: true,
  });
  // Without a listener a late socket error would end the process.
  smtp.on('error', () => {});
  try {
    await finished(smtp, peer.connectMs, (done) => smtp.connect(done));
    peer.onTls?.(tlsOf(smtp));
    const extensions = readExtensions(smtp.lastServerResponse || '');
    const { login } = peer;
    if (login) await finished(smtp, peer.connectMs, (done) => smtp.login({ ...login }, done));
    return session(smtp, extensions, peer);
  } catch (error) {
    const isTls = smtp.upgrading === true || (error instanceof Error && 'code' in error && error.code === 'ETLS');
    smtp.close();
    if (isTls) peer.onTls?.(tlsFailureOf(error));
    throw fail(isTls ? 'next-hop-tls' : 'next-hop-unavailable', error);
  }
}

function tlsOf(smtp: SMTPConnection): TlsResult {
  const { _socket: socket } = smtp as unknown as { _socket: unknown };
  return socket instanceof TLSSocket ? tlsVersion(socket) : 'plain';
}

/** nodemailer puts its own code over Node's, which it keeps as `originalCode`. */
function tlsFailureOf(error: unknown): TlsResult {
  if (!(error instanceof Error)) return 'cut';
  if ('command' in error && error.command === 'STARTTLS') return 'refused';
  return tlsFailure('originalCode' in error ? error.originalCode : undefined);
}

function session(smtp: SMTPConnection, extensions: ReadonlyMap<string, string>, peer: Peer): Connection {
  let parameters: ReadonlyMap<string, readonly string[]> = new Map();
  extendCommands(smtp, (command) => parameters.get(command.slice(0, command.lastIndexOf('>') + 1)) ?? []);

  return {
    extensions,
    isOpen: () => !smtp.destroyed,
    async send(request) {
      parameters = new Map([
        [`MAIL FROM:<${request.from}>`, request.mailParameters],
        ...[...request.recipients].map(([address, extra]) => [`RCPT TO:<${address}>`, extra] as const),
      ]);
      // nodemailer keeps its books on the envelope it is given; after a failure they are found nowhere else.
      const books: Partial<SMTPConnectionEnvelope> = {
        from: request.from,
        to: [...request.recipients.keys()],
        size: request.bytes,
        use8BitMime: request.declareEightBit,
      };
      const limitMs = 2 * peer.replyMs + (request.bytes / slowestBytesPerSecond) * 1000;
      const { command, decided } = await finished<{ response: string }>(smtp, limitMs, (done) =>
        smtp.send(books, request.message, done),
      ).then(({ response }) => ({ command: 'DATA', decided: response }), decidingReply);
      // After a refused MAIL the pipelined RCPTs are refused too, for no fault of the recipients.
      const errors = command === 'MAIL FROM' ? [] : (books.rejectedErrors ?? []);
      const refused = new Map(errors.map(({ recipient = '', response = '' }) => [recipient, response]));
      const untouched = decided === undefined && refused.size === 0 && (books.accepted ?? []).length === 0;
      return { refused, decided, untouched };
    },
    async reset() {
      if (smtp.destroyed) return false;
      try {
        await finished(smtp, peer.replyMs, (done) => smtp.reset(done));
        return true;
      } catch {
        smtp.close();
        return false;
      }
    },
    onClose: (listener) => smtp.once('end', listener),
    quit() {
      if (smtp.destroyed) return;
      setTimeout(() => smtp.close(), quitMs).unref();
      smtp.quit();
    },
    destroy: () => smtp.close(),
  };
}

type Done<T> = (error?: Error | null, value?: T) => void;

/** One operation: nodemailer forgets its callback when the connection ends under it, so the connection's end ends it too. */
function finished<T = unknown>(smtp: SMTPConnection, limitMs: number, start: (done: Done<T>) => void): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => smtp.close(), limitMs);
    // The callback with the better error comes right after the event.
    const onEnd = () => setImmediate(() => settle(() => reject(new Error('connection ended'))));
    const onError = (error: Error) => settle(() => reject(error));
    const settle = (action: () => void) => {
      clearTimeout(timer);
      smtp.off('end', onEnd);
      smtp.off('error', onError);
      action();
    };
    smtp.once('end', onEnd);
    smtp.once('error', onError);
    start((error, value) => settle(() => (error ? reject(error) : resolve(value as T))));
  });
}

/** The reply that an error carries, if it answers a command of the transaction; what came while a connection broke answers nothing. */
function decidingReply(error: unknown): { command?: string; decided: string | undefined } {
  if (!(error instanceof Error) || !('command' in error) || !('response' in error)) return { decided: undefined };
  const { command, response } = error;
  if (typeof response !== 'string' || typeof command !== 'string' || command === 'CONN') return { decided: undefined };
  return { command, decided: response };
}

/**
 * nodemailer has one set of DSN parameters for all recipients and decides itself about SMTPUTF8; RFC 3461 has them for each
 * recipient, and RFC 6531 makes header fields count too. Its commands all pass this one method, so they are extended there.
 */
function extendCommands(smtp: SMTPConnection, parametersOf: (command: string) => readonly string[]): void {
  const inner = smtp as unknown as { _sendCommand(command: string, logged?: string): void };
  const send = inner._sendCommand.bind(smtp);
  inner._sendCommand = (command, logged) => {
    const given = command.split(' ');
    const extra = parametersOf(command).filter((parameter) => !given.includes(parameter));
    send([command, ...extra].join(' '), logged);
  };
}

/** Keywords of an EHLO reply (RFC 5321 §4.1.1.1), the greeting line left out. */
function readExtensions(reply: string): Map<string, string> {
  return new Map(
    reply
      .split(/\r?\n/)
      .slice(1)
      .map((line) => /^\d{3}[ -]([A-Za-z0-9][A-Za-z0-9-]*)(?:[ =](.*))?$/.exec(line.trim()))
      .flatMap((match) => (match?.[1] ? [[match[1].toUpperCase(), match[2] ?? ''] as const] : [])),
  );
}
