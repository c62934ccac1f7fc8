// Content-Transfer-Encoding (RFC 2045 §6): decoding that takes what mailers really send, encoding in 76 columns.

/** Encoded octets of one base64 line, and the characters they become. */
const LINE_OCTETS = 57;
const LINE_CHARACTERS = 76;

/** Octets encoded at once: whole lines, small enough that the strings stay in the young generation. */
const SLAB = LINE_OCTETS * 1024;

/** Decodes a body; an unknown encoding is taken as identity (RFC 2045 §6.4 would treat it as octets too). */
export function decodeTransfer(body: Buffer, encoding: string | undefined): Buffer {
  switch (encoding?.trim().toLowerCase()) {
    case 'base64':
      return decodeBase64(body);
    case 'quoted-printable':
      return decodeQuotedPrintable(body);
    default:
      return body;
  }
}

/**
 * From here on base64 is decoded in slabs, so that a large body is never also there as one string, and what it holds is
 * opened in its place: fewer large Buffers, whose release costs V8 a full collection every few messages.
 */
export const LARGE = 1 << 17;

/** Characters decoded at once. */
const DECODE_SLAB = 1 << 16;

/**
 * Base64 with any line length, white space and stray characters skipped, ends at the first padding. A large result has
 * an ArrayBuffer of its own with `headroom` unused octets in front.
 */
export function decodeBase64(body: Buffer, headroom = 0): Buffer {
  if (body.length <= LARGE) return Buffer.from(body.toString('latin1'), 'base64');
  const out = Buffer.allocUnsafeSlow(headroom + Math.ceil((body.length * 3) / 4) + 3);
  const regular = decodeRows(body, out, headroom);
  return out.subarray(headroom, decodeLoose(body, regular.read, out, regular.written));
}

/**
 * Lines of one length, as nearly all senders write. A slab counts when it gives exactly the octets that its lines must
 * hold; a stray character anywhere makes it fewer, and the loose decoder takes over from there.
 */
function decodeRows(body: Buffer, out: Buffer, headroom: number): { read: number; written: number } {
  const width = body.indexOf(0x0a) + 1;
  const characters = body[width - 2] === 0x0d ? width - 2 : width - 1;
  let [read, written] = [0, headroom];
  if (width === 0 || characters < 4 || characters % 4 !== 0 || width > DECODE_SLAB) return { read, written };
  const rows = Math.floor(DECODE_SLAB / width);
  const octets = (rows * characters * 3) / 4;
  for (; read + rows * width <= body.length; read += rows * width) {
    const count = out.write(body.toString('latin1', read, read + rows * width), written, 'base64');
    if (count !== octets) break;
    written += count;
  }
  return { read, written };
}

function decodeLoose(body: Buffer, start: number, out: Buffer, offset: number): number {
  let length = offset;
  let carry = '';
  for (let at = start; at < body.length; at += DECODE_SLAB) {
    const slab = body.toString('latin1', at, Math.min(at + DECODE_SLAB, body.length));
    const atEnd = at + DECODE_SLAB >= body.length;
    // Only what goes on into the next slab must be counted in whole groups of four.
    const text = atEnd && carry === '' ? slab : carry + slab.replace(/[^A-Za-z0-9+/=]+/g, '');
    const last = atEnd || text.includes('=');
    const usable = last ? text.length : text.length - (text.length % 4);
    length += out.write(text.slice(0, usable), length, 'base64');
    if (last) break;
    carry = text.slice(usable);
  }
  return length;
}

/** RFC 2045 §6.7; a `=` that starts no escape stays as it is. */
export function decodeQuotedPrintable(body: Buffer): Buffer {
  const out = Buffer.allocUnsafe(body.length);
  let length = 0;
  let lineStart = 0;
  while (lineStart < body.length) {
    const lf = body.indexOf(0x0a, lineStart);
    const lineEnd = lf === -1 ? body.length : lf + 1;
    let contentEnd = lf === -1 ? lineEnd : lf > lineStart && body[lf - 1] === 0x0d ? lf - 1 : lf;
    const breakStart = contentEnd;
    while (contentEnd > lineStart && (body[contentEnd - 1] === 0x20 || body[contentEnd - 1] === 0x09)) contentEnd -= 1;
    const soft = contentEnd > lineStart && body[contentEnd - 1] === 0x3d;
    if (soft) contentEnd -= 1;
    for (let at = lineStart; at < contentEnd; at++) {
      const octet = body[at] ?? 0;
      const escaped = octet === 0x3d && at + 2 < contentEnd ? hexOctet(body[at + 1], body[at + 2]) : -1;
      out[length++] = escaped === -1 ? octet : escaped;
      if (escaped !== -1) at += 2;
    }
    if (!soft) length += body.copy(out, length, breakStart, lineEnd);
    lineStart = lineEnd;
  }
  return out.subarray(0, length);
}

function hexOctet(high: number | undefined, low: number | undefined): number {
  const [first, second] = [hexDigit(high), hexDigit(low)];
  return first === -1 || second === -1 ? -1 : first * 16 + second;
}

function hexDigit(octet = 0): number {
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30;
  const letter = octet & 0xdf;
  return letter >= 0x41 && letter <= 0x46 ? letter - 0x37 : -1;
}

/** Length in octets of `length` octets as base64 lines, the CRLF of the last line included. */
export function base64LinesLength(length: number): number {
  const characters = Math.ceil(length / 3) * 4;
  return characters + Math.ceil(characters / LINE_CHARACTERS) * 2;
}

/** Streams octets into a buffer as base64 lines of 76 characters and CRLF. `end` gives the offset behind them. */
export class Base64Lines {
  readonly #out: Buffer;
  #offset: number;
  /** Octets that do not fill a line yet. */
  #rest: Buffer = Buffer.alloc(0);

  constructor(out: Buffer, offset: number) {
    this.#out = out;
    this.#offset = offset;
  }

  write(octets: Buffer): void {
    let start = 0;
    if (this.#rest.length > 0) {
      start = Math.min(octets.length, LINE_OCTETS - this.#rest.length);
      this.#rest = Buffer.concat([this.#rest, octets.subarray(0, start)]);
      if (this.#rest.length < LINE_OCTETS) return;
      this.#lines(this.#rest, 0, LINE_OCTETS);
    }
    const whole = start + Math.floor((octets.length - start) / LINE_OCTETS) * LINE_OCTETS;
    for (let at = start; at < whole; at += SLAB) this.#lines(octets, at, Math.min(at + SLAB, whole));
    this.#rest = Buffer.from(octets.subarray(whole));
  }

  end(): number {
    if (this.#rest.length > 0) this.#lines(this.#rest, 0, this.#rest.length);
    this.#rest = Buffer.alloc(0);
    return this.#offset;
  }

  #lines(octets: Buffer, start: number, end: number): void {
    const text = octets.toString('base64', start, end);
    const out = this.#out;
    let offset = this.#offset;
    // Row by row from the string: measured faster than copying rows from a second buffer.
    for (let at = 0; at < text.length; at += LINE_CHARACTERS) {
      offset += out.write(text.substring(at, at + LINE_CHARACTERS), offset, 'latin1');
      out[offset++] = 0x0d;
      out[offset++] = 0x0a;
    }
    this.#offset = offset;
  }
}

/** `octets` as base64 lines. */
export function encodeBase64(octets: Buffer): Buffer {
  const out = Buffer.allocUnsafe(base64LinesLength(octets.length));
  const lines = new Base64Lines(out, 0);
  lines.write(octets);
  return out.subarray(0, lines.end());
}

/**
 * Quoted-printable of text with CRLF line ends. A dot or `From ` at a line start is encoded too, so that no relay
 * finds a reason to change the line (RFC 8551 §3.1.3 asks for that in signed content).
 */
export function encodeQuotedPrintable(text: Buffer): Buffer {
  const out: string[] = [];
  let lineStart = 0;
  while (lineStart < text.length) {
    const crlf = text.indexOf('\r\n', lineStart, 'latin1');
    const lineEnd = crlf === -1 ? text.length : crlf;
    out.push(quoteLine(text.subarray(lineStart, lineEnd)));
    if (crlf === -1) break;
    out.push('\r\n');
    lineStart = crlf + 2;
  }
  return Buffer.from(out.join(''), 'latin1');
}

function quoteLine(line: Buffer): string {
  const out: string[] = [];
  let column = 0;
  const first = line[0] === 0x2e || line.subarray(0, 5).toString('latin1') === 'From ';
  for (let at = 0; at < line.length; at++) {
    const octet = line[at] ?? 0;
    const blank = octet === 0x20 || octet === 0x09;
    const plain = (octet > 0x20 && octet < 0x7f && octet !== 0x3d) || (blank && at < line.length - 1);
    const quoted = plain && !(at === 0 && first) ? String.fromCharCode(octet) : `=${hex(octet)}`;
    // 75 columns and the soft break, except that the last character of the line needs no break.
    if (column + quoted.length > (at === line.length - 1 ? 76 : 75)) {
      out.push('=\r\n');
      column = 0;
    }
    out.push(quoted);
    column += quoted.length;
  }
  return out.join('');
}

function hex(octet: number): string {
  return octet.toString(16).toUpperCase().padStart(2, '0');
}
