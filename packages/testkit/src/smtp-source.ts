// An SMTP client spoken by hand: every byte and every segment is the test's own. It reads replies and checks nothing.

import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { type ByteReader, readBytes } from './byte-reader.ts';

const newline = Buffer.from('\r\n');

export interface SmtpReply {
  readonly code: number;
  /** Text of each line without the code. */
  readonly lines: readonly string[];
  /** The last line as it came, without its line end. */
  readonly text: string;
}

export interface SmtpMail {
  readonly from: string;
  readonly to: readonly string[];
  /** Put as it is between DATA and the final dot; dots are stuffed, nothing else is changed. */
  readonly message: string | Buffer;
  /** After MAIL FROM, `BODY=8BITMIME`. */
  readonly parameters?: string;
}

/** The replies to each command of a transaction, as far as it came. */
export interface SmtpReplies {
  readonly mail: SmtpReply;
  readonly rcpt: readonly SmtpReply[];
  readonly data?: SmtpReply;
  readonly message?: SmtpReply;
}

export interface SmtpSource extends AsyncDisposable {
  /** Writes bytes as they are, one segment as far as the system keeps it together. */
  write(bytes: string | Buffer): Promise<void>;
  /** Writes each piece between the cuts in a segment of its own. */
  writeSplit(bytes: string | Buffer, cuts: readonly number[], pauseMs?: number): Promise<void>;
  /** The next reply, all its lines. Rejects when the connection ends first. */
  reply(): Promise<SmtpReply>;
  /** Writes a line and returns the next reply. */
  command(line: string): Promise<SmtpReply>;
  /** Reads the greeting and says EHLO; returns the reply to that, or the greeting where it was a refusal. */
  greet(name?: string): Promise<SmtpReply>;
  /** STARTTLS and the handshake; without check of the certificate unless `options` demand it. */
  startTls(options?: ConnectionOptions): Promise<void>;
  /** One whole transaction; stops where there is nothing to go on with. */
  send(mail: SmtpMail): Promise<SmtpReplies>;
  /** RST. */
  reset(): void;
  /** FIN. */
  end(): void;
  /** When the connection is gone. */
  readonly closed: Promise<void>;
}

/** Connects; the greeting is not read yet. */
export async function connectSmtp(address: {
  readonly host: string;
  readonly port: number;
  readonly localAddress?: string;
}): Promise<SmtpSource> {
  const raw = connectTcp({ ...address, noDelay: true });
  await once(raw, 'connect');
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  raw.once('close', () => resolve());
  raw.on('error', () => undefined);
  let socket: Socket = raw;
  let reader: ByteReader = readBytes(socket);

  async function write(bytes: string | Buffer): Promise<void> {
    const { promise, resolve: written } = Promise.withResolvers<void>();
    // An error shows when the reply is read.
    socket.write(bytes, () => written());
    await promise;
  }
  async function reply(): Promise<SmtpReply> {
    const lines: string[] = [];
    for (;;) {
      const line = (await reader.readUntil(newline)).subarray(0, -2).toString('utf8');
      lines.push(line.slice(4));
      if (line[3] !== '-') return { code: Number(line.slice(0, 3)), lines, text: line };
    }
  }
  async function command(line: string): Promise<SmtpReply> {
    await write(`${line}\r\n`);
    return reply();
  }

  return {
    write,
    reply,
    command,
    async writeSplit(bytes, cuts, pauseMs = 1) {
      const whole = Buffer.from(bytes);
      const ends = [...cuts, whole.length];
      let start = 0;
      for (const end of ends) {
        await write(whole.subarray(start, end));
        start = end;
        // Time for the other side to read this much alone.
        await sleep(pauseMs);
      }
    },
    async greet(name = 'source.test') {
      const greeting = await reply();
      return greeting.code === 220 ? command(`EHLO ${name}`) : greeting;
    },
    async startTls(options = {}) {
      const { code } = await command('STARTTLS');
      if (code !== 220) throw new Error(`STARTTLS was answered with ${code}`);
      reader.release();
      const secure = connectTls({ socket: raw, rejectUnauthorized: false, ...options });
      secure.on('error', () => undefined);
      socket = secure;
      reader = readBytes(secure);
      await Promise.race([
        once(secure, 'secureConnect'),
        once(secure, 'close').then(() => {
          throw new Error('The handshake failed');
        }),
      ]);
    },
    async send({ from, to, message, parameters }) {
      const mail = await command(`MAIL FROM:<${from}>${parameters === undefined ? '' : ` ${parameters}`}`);
      if (mail.code !== 250) return { mail, rcpt: [] };
      const rcpt: SmtpReply[] = [];
      for (const recipient of to) rcpt.push(await command(`RCPT TO:<${recipient}>`));
      if (!rcpt.some(({ code }) => code === 250)) return { mail, rcpt };
      const data = await command('DATA');
      if (data.code !== 354) return { mail, rcpt, data };
      await write(Buffer.concat([stuffed(message), Buffer.from('.\r\n')]));
      return { mail, rcpt, data, message: await reply() };
    },
    reset: () => void raw.resetAndDestroy(),
    end: () => void socket.end(),
    closed,
    async [Symbol.asyncDispose]() {
      raw.destroy();
      await closed;
    },
  };
}

/** RFC 5321 §4.5.2 */
function stuffed(message: string | Buffer): Buffer {
  const text = Buffer.from(message).toString('latin1');
  return Buffer.from(text.replace(/(^|\r\n)\./g, '$1..'), 'latin1');
}
