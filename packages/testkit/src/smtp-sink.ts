// An SMTP server (RFC 5321) that takes mail and remembers it byte for byte, and misbehaves on demand: any reply at any command
// and for any recipient, raw bytes instead of a reply, or no reply and a dropped connection, the one after the final dot included.

import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSecureContext, TLSSocket } from 'node:tls';
import { type ByteReader, readBytes } from './byte-reader.ts';

const newline = Buffer.from('\r\n');
const endOfMessage = Buffer.from('\r\n.\r\n');

/** What the sink is about to answer. `message` is the moment after the final dot. */
export type SinkStage =
  | 'connect'
  | 'ehlo'
  | 'helo'
  | 'starttls'
  | 'auth'
  | 'mail'
  | 'rcpt'
  | 'data'
  | 'message'
  | 'rset'
  | 'noop'
  | 'quit';

export interface SinkMoment {
  readonly stage: SinkStage;
  /** Of MAIL and RCPT. */
  readonly address?: string;
  /** Of MAIL, RCPT and AUTH, as written: `SIZE=100`, `NOTIFY=NEVER`. */
  readonly parameters: readonly string[];
  /** Counts connections from 1. */
  readonly session: number;
  readonly isSecure: boolean;
}

/** A reply line without its line end, lines joined by CRLF, raw bytes, or `drop`: destroy the connection. */
export type SinkReply = string | Buffer;

export interface SinkRecipient {
  readonly address: string;
  readonly parameters: readonly string[];
}

export interface SinkTransaction {
  readonly session: number;
  readonly isSecure: boolean;
  /** The name that the client gave with EHLO. */
  readonly client: string;
  readonly mailFrom: string;
  readonly parameters: readonly string[];
  /** Those that were accepted. */
  readonly recipients: readonly SinkRecipient[];
  /** The message as sent, dots unstuffed, its last CRLF included. */
  readonly message: Buffer;
}

export interface SinkOptions {
  /** Keywords shown after EHLO; STARTTLS is added where `tls` is given. */
  readonly extensions?: readonly string[];
  /** PEM. Offers STARTTLS. */
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer };
  /** Decides a reply; undefined for the usual one. A transaction counts as taken when the reply to `message` begins with 2. */
  readonly reply?: (moment: SinkMoment) => SinkReply | undefined | Promise<SinkReply | undefined>;
  readonly port?: number;
  /** Address to listen on; left out: 127.0.0.1. */
  readonly host?: string;
  /** False: nothing is remembered, for a load that would fill the memory. */
  readonly keep?: boolean;
}

export interface SmtpSink extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** Transactions taken, oldest first. */
  readonly transactions: readonly SinkTransaction[];
  /** Connections made so far. */
  readonly sessions: number;
  /** Connections open now. */
  readonly open: number;
  /** Resolves when so many transactions were taken; rejects after `timeoutMs`. */
  waitFor(count: number, timeoutMs?: number): Promise<readonly SinkTransaction[]>;
  /** Changes how it replies from now on. */
  setReply(reply: SinkOptions['reply']): void;
  close(): Promise<void>;
}

export const usualExtensions: readonly string[] = [
  'PIPELINING',
  'SIZE 52428800',
  '8BITMIME',
  'SMTPUTF8',
  'DSN',
  'ENHANCEDSTATUSCODES',
];

const usualReplies: Readonly<Record<SinkStage, string>> = {
  connect: '220 sink.test ESMTP',
  ehlo: '250 sink.test',
  helo: '250 sink.test',
  starttls: '220 2.0.0 Go ahead',
  auth: '235 2.7.0 Welcome',
  mail: '250 2.1.0 Ok',
  rcpt: '250 2.1.5 Ok',
  data: '354 End data with <CR><LF>.<CR><LF>',
  message: '250 2.0.0 Ok: taken',
  rset: '250 2.0.0 Ok',
  noop: '250 2.0.0 Ok',
  quit: '221 2.0.0 Bye',
};

export async function startSmtpSink(options: SinkOptions = {}): Promise<SmtpSink> {
  const transactions: SinkTransaction[] = [];
  const sockets = new Set<Socket>();
  let decide = options.reply;
  let sessions = 0;
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
    const session = { ...options, number: ++sessions, decide: (moment: SinkMoment) => decide?.(moment) };
    converse(socket, session, (transaction) => {
      if (options.keep !== false) transactions.push(transaction);
    }).catch(() => socket.destroy());
  });
  const host = options.host ?? '127.0.0.1';
  server.listen(options.port ?? 0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  async function close(): Promise<void> {
    for (const socket of sockets) socket.destroy();
    await server[Symbol.asyncDispose]();
  }
  return {
    host,
    port,
    transactions,
    get sessions() {
      return sessions;
    },
    get open() {
      return sockets.size;
    },
    async waitFor(count, timeoutMs = 10_000) {
      const deadline = performance.now() + timeoutMs;
      while (transactions.length < count) {
        if (performance.now() > deadline) throw new Error(`${transactions.length} of ${count} transactions came`);
        await sleep(5);
      }
      return transactions;
    },
    setReply(reply) {
      decide = reply;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

interface Session extends SinkOptions {
  readonly number: number;
  readonly decide: NonNullable<SinkOptions['reply']>;
}

/** One connection, command by command, until it ends. */
async function converse(raw: Socket, session: Session, taken: (transaction: SinkTransaction) => void): Promise<void> {
  let socket: Socket = raw;
  let reader: ByteReader = readBytes(socket);
  let isSecure = false;
  let client = '';
  let mail: SinkRecipient | undefined;
  let recipients: SinkRecipient[] = [];

  /** True when the reply that was sent means yes. */
  async function answer(stage: SinkStage, about: Partial<SinkRecipient> = {}, usual = usualReplies[stage]) {
    const moment = { stage, parameters: [], session: session.number, isSecure, ...about };
    const reply = (await session.decide(moment)) ?? usual;
    if (reply === 'drop') socket.destroy();
    else socket.write(typeof reply === 'string' ? `${reply}\r\n` : reply);
    return !socket.destroyed && /^[23]/.test(reply.toString('latin1'));
  }
  function forget(): void {
    mail = undefined;
    recipients = [];
  }

  await answer('connect');
  while (!socket.destroyed) {
    const line = (await reader.readUntil(newline)).subarray(0, -2).toString('utf8');
    const [verb = '', argument = ''] = splitOnce(line);
    switch (verb.toUpperCase()) {
      case 'EHLO': {
        client = argument;
        forget();
        const keywords = [
          ...(session.extensions ?? usualExtensions),
          ...(session.tls && !isSecure ? ['STARTTLS'] : []),
        ];
        await answer('ehlo', {}, ehloLines(['sink.test', ...keywords]));
        break;
      }
      case 'HELO':
        client = argument;
        forget();
        await answer('helo');
        break;
      case 'STARTTLS': {
        if (!session.tls || isSecure) {
          socket.write('502 5.5.1 Not offered\r\n');
          break;
        }
        if (!(await answer('starttls'))) break;
        reader.release();
        socket = await secured(socket, session.tls);
        reader = readBytes(socket);
        isSecure = true;
        forget();
        break;
      }
      case 'AUTH':
        await answer('auth', { parameters: argument.split(' ') });
        break;
      case 'MAIL':
      case 'RCPT': {
        const isMail = verb.toUpperCase() === 'MAIL';
        const path = parsePath(argument);
        if (!path || isMail === Boolean(mail)) socket.write('503 5.5.1 Not now\r\n');
        else if (await answer(isMail ? 'mail' : 'rcpt', path)) {
          if (isMail) mail = path;
          else recipients.push(path);
        }
        break;
      }
      case 'DATA': {
        if (!mail || recipients.length === 0) {
          socket.write('503 5.5.1 No valid recipients\r\n');
          break;
        }
        if (!(await answer('data'))) break;
        const message = await readMessage(reader);
        if (await answer('message')) {
          const { address, parameters } = mail;
          taken({ session: session.number, isSecure, client, mailFrom: address, parameters, recipients, message });
        }
        forget();
        break;
      }
      case 'RSET':
        forget();
        await answer('rset');
        break;
      case 'NOOP':
        await answer('noop');
        break;
      case 'QUIT':
        await answer('quit');
        socket.end();
        return;
      default:
        socket.write('500 5.5.2 Unknown command\r\n');
    }
  }
}

function splitOnce(line: string): [string, string] {
  const at = line.indexOf(' ');
  return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)];
}

/** `FROM:<a@b> SIZE=1` */
function parsePath(argument: string): SinkRecipient | undefined {
  const match = /^(?:FROM|TO):\s*<([^>]*)>(.*)$/i.exec(argument);
  if (!match) return undefined;
  return { address: match[1] ?? '', parameters: (match[2] ?? '').split(' ').filter((word) => word !== '') };
}

function ehloLines(lines: readonly string[]): string {
  return lines.map((line, at) => `250${at < lines.length - 1 ? '-' : ' '}${line}`).join('\r\n');
}

/** RFC 5321 §4.1.1.4 and §4.5.2. The line end of the DATA command belongs to the mark of the end. */
async function readMessage(reader: ByteReader): Promise<Buffer> {
  reader.unread(newline);
  const stuffed = await reader.readUntil(endOfMessage);
  const unstuffed = stuffed
    .subarray(0, -3)
    .toString('latin1')
    .replace(/\r\n\./g, '\r\n');
  return Buffer.from(unstuffed.slice(2), 'latin1');
}

async function secured(socket: Socket, tls: NonNullable<SinkOptions['tls']>): Promise<TLSSocket> {
  const secure = new TLSSocket(socket, { isServer: true, secureContext: createSecureContext(tls) });
  secure.on('error', () => undefined);
  await once(secure, 'secure');
  return secure;
}
