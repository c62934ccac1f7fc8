// Reads one DATA to its final dot and looks at every byte once on the way: bare CR, bare LF and NUL are refused, because the next
// server may end a line, a header or the message where we do not (RFC 5321 §2.3.8; "SMTP smuggling"). What is wrong is remembered
// and the rest let go unread, so that the client gets its answer where it listens for it.

import type { Readable } from 'node:stream';
import { type ErrorCode, fail } from '@sealpost/core';
import type { Reservation } from './limits.ts';

export interface CollectOptions {
  /** Largest message in bytes. */
  readonly maxBytes: number;
  /** Turn bare LF into CRLF instead of refusing it. */
  readonly normaliseBareLf: boolean;
  readonly reservation: Reservation;
  /** Ends the reading at once; what was read is forgotten. */
  readonly signal: AbortSignal;
}

/** The client left, or was sent away, before the final dot. There is nobody to answer. */
export class Abandoned extends Error {
  override readonly name = 'Abandoned';
}

const firstCapacity = 16 * 1024;
const nul = 0x00;
const lf = 0x0a;
const cr = 0x0d;

/** Errors: `message-too-large`, `gateway-busy`, `bare-newline`, `nul-byte`, all after the final dot; `Abandoned` before it. */
export function collect(stream: Readable, options: CollectOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const message = new MessageReader(options);
    const settle = (finish: () => void) => {
      options.signal.removeEventListener('abort', abandon);
      stream.off('close', abandon);
      finish();
    };
    const abandon = () => {
      message.refuse('internal');
      settle(() => reject(new Abandoned()));
    };
    if (options.signal.aborted) return abandon();
    options.signal.addEventListener('abort', abandon, { once: true });
    stream.on('data', (chunk: Buffer) => message.push(chunk));
    // smtp-server tells the handler that the client is gone by destroying the stream; unheard, that would end the process.
    stream.on('error', () => undefined);
    stream.once('close', abandon);
    stream.once('end', () =>
      settle(() => {
        const whole = message.end();
        if (typeof whole === 'string') reject(fail(whole));
        else resolve(whole);
      }),
    );
  });
}

/** One growing buffer: a chunk can be three bytes (dot-stuffed lines), and a list of those would take fifty times their size. */
class MessageReader {
  readonly #options: CollectOptions;
  #bytes: Buffer = Buffer.alloc(0);
  #length = 0;
  #afterCr = false;
  #problem: ErrorCode | undefined;

  constructor(options: CollectOptions) {
    this.#options = options;
  }

  push(chunk: Buffer): void {
    if (this.#problem) return;
    const { maxBytes, normaliseBareLf } = this.#options;
    const afterCr = this.#afterCr;
    const found = this.#look(chunk);
    if (!found) this.#append(chunk);
    else if (found !== 'bare-lf') this.refuse(found);
    else if (normaliseBareLf) this.#append(withCrlf(chunk, afterCr));
    else this.refuse('bare-newline');
    if (this.#length > maxBytes) this.refuse('message-too-large');
  }

  end(): Buffer | ErrorCode {
    if (this.#afterCr) this.refuse('bare-newline');
    return this.#problem ?? this.#bytes.subarray(0, this.#length);
  }

  /** The first problem counts; the bytes so far are let go. */
  refuse(code: ErrorCode): void {
    this.#problem ??= code;
    this.#bytes = Buffer.alloc(0);
    this.#length = 0;
    this.#options.reservation.release();
  }

  #look(chunk: Buffer): 'bare-newline' | 'nul-byte' | 'bare-lf' | undefined {
    let afterCr = this.#afterCr;
    let bareLf = false;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at];
      if (byte === lf) bareLf ||= !afterCr;
      else if (afterCr) return 'bare-newline';
      else if (byte === nul) return 'nul-byte';
      afterCr = byte === cr;
    }
    this.#afterCr = afterCr;
    return bareLf ? 'bare-lf' : undefined;
  }

  #append(chunk: Buffer): void {
    const needed = this.#length + chunk.length;
    if (needed <= this.#bytes.length || this.#grow(needed)) {
      chunk.copy(this.#bytes, this.#length);
      this.#length = needed;
    } else this.refuse('gateway-busy');
  }

  #grow(needed: number): boolean {
    const capacity = this.#bytes.length;
    const next = Math.max(needed, Math.min(Math.ceil(capacity * 1.5), this.#options.maxBytes), firstCapacity);
    if (!this.#options.reservation.grow(next - capacity)) return false;
    const grown = Buffer.allocUnsafeSlow(next);
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
    return true;
  }
}

/** Each LF that no CR stands before gets one; `afterCr`: the byte before the chunk was a CR. */
function withCrlf(chunk: Buffer, afterCr: boolean): Buffer {
  const text = (afterCr ? '\r' : '') + chunk.toString('latin1');
  return Buffer.from(text.replace(/(?<!\r)\n/g, '\r\n').slice(afterCr ? 1 : 0), 'latin1');
}
