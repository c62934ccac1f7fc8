// Canonical form of an entity that will be signed (RFC 8551 §3.1.1): CRLF line ends, and 7bit so that no relay has
// a reason to re-encode what the signature covers (§3.1.3, RFC 1847 §2.1).
import { isAscii, isUtf8 } from 'node:buffer';
import { boundaryOf, DEFAULT_TYPE, type ParameterizedValue } from './content-type.ts';
import { type Entity, firstValue, type HeaderField, readEntity } from './header.ts';
import { MAX_LINE_LENGTH, MAX_MIME_DEPTH } from './limits.ts';
import { scanLineEnds } from './lines.ts';
import { readMultipart } from './multipart.ts';
import { decodeTransfer, encodeBase64, encodeQuotedPrintable } from './transfer.ts';

const LF = 0x0a;
const CRLF = Buffer.from('\r\n');

/** Bare LF and bare CR become CRLF; the same buffer when nothing had to change. */
export function toCrlf(bytes: Buffer): Buffer {
  if (scanLineEnds(bytes).safe) return bytes;
  return Buffer.from(bytes.toString('latin1').replace(/\r\n|\r|\n/g, '\r\n'), 'latin1');
}

/** Only bare LF becomes CRLF, as OpenSSL and others canonicalise before hashing. */
export function lineFeedsToCrlf(bytes: Buffer): Buffer {
  if (scanLineEnds(bytes).safe) return bytes;
  return Buffer.from(bytes.toString('latin1').replace(/(?<!\r)\n/g, '\r\n'), 'latin1');
}

/** Text with LF only, as those hash it who forget to canonicalise. */
export function crlfToLineFeeds(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('latin1').replaceAll('\r\n', '\n'), 'latin1');
}

/** 7bit as RFC 2045 §2.7 means it: ASCII without NUL, lines of at most 998 octets, every line end CRLF. */
export function isSevenBitSafe(bytes: Buffer): boolean {
  if (!isAscii(bytes)) return false;
  const { safe, longest } = scanLineEnds(bytes);
  return safe && longest <= MAX_LINE_LENGTH;
}

/** No NUL, bare CR or bare LF: what every SMTP receiver takes (RFC 5321 §2.3.8). */
export function isLineSafe(bytes: Buffer): boolean {
  return scanLineEnds(bytes).safe;
}

/**
 * The entity `fields` + `body` as pieces that are 7bit and CRLF throughout. Leaf parts that are not are re-encoded
 * (quoted-printable for text, base64 else), everything else stays byte for byte. `fields` hold content fields only.
 */
export function sevenBitEntity(fields: readonly HeaderField[], body: Buffer): Buffer[] {
  const described = fields.some((field) => field.name === 'content-type') ? [] : [implicitType(body)];
  if (isSevenBitSafe(body)) return [...described, ...fields.map((field) => fieldLines(field.raw)), CRLF, body];
  const pieces = reencode({ fields, body, raw: body }, 0);
  return [...described, ...pieces];
}

/** What the body is by default, said aloud: an entity without any header is misread by several clients. */
function implicitType(body: Buffer): Buffer {
  const charset = isAscii(body) ? 'us-ascii' : isUtf8(body) ? 'utf-8' : 'unknown-8bit';
  return Buffer.from(`Content-Type: text/plain; charset=${charset}\r\n`, 'latin1');
}

/** Header block (with its empty line) first, then the body pieces. */
function reencode(entity: Entity, depth: number): Buffer[] {
  const type = typeOf(entity.fields);
  const boundary = type.value.startsWith('multipart/') ? boundaryOf(type) : undefined;
  if (depth < MAX_MIME_DEPTH) {
    if (boundary !== undefined) return [header(entity.fields, '7bit'), ...multipartPieces(entity, boundary, depth)];
    // RFC 2046 §5.2.1: message/rfc822 may not be encoded itself, so what is inside must become 7bit.
    if (type.value === 'message/rfc822') return [header(entity.fields, '7bit'), ...inner(entity.body, depth)];
  }
  return leaf(entity, type);
}

function multipartPieces(entity: Entity, boundary: string, depth: number): Buffer[] {
  const multipart = readMultipart(entity.body, boundary);
  const pieces: Buffer[] = [cleanText(multipart.preamble)];
  multipart.parts.forEach((part, index) => {
    pieces.push(toCrlf(multipart.delimiters[index] ?? CRLF), ...inner(part, depth));
  });
  if (multipart.closed) pieces.push(toCrlf(multipart.delimiters.at(-1) ?? CRLF));
  pieces.push(cleanText(multipart.epilogue));
  return pieces;
}

function inner(raw: Buffer, depth: number): Buffer[] {
  return isSevenBitSafe(raw) ? [raw] : reencode(readEntity(raw), depth + 1);
}

/** Preamble and epilogue mean nothing; what is not 7bit in them is replaced. */
function cleanText(bytes: Buffer): Buffer {
  if (isSevenBitSafe(bytes)) return bytes;
  const text = toCrlf(bytes)
    .toString('latin1')
    .replace(/[^\x01-\x7f]/g, '?');
  return Buffer.from(text.replace(/[^\r\n]{998}/g, '$&\r\n'), 'latin1');
}

function leaf(entity: Entity, type: ParameterizedValue): Buffer[] {
  const encoding = firstValue(entity.fields, 'content-transfer-encoding')?.toLowerCase();
  const encoded = encoding === 'base64' || encoding === 'quoted-printable';
  const crlf = toCrlf(entity.body);
  // Only the line ends were wrong: keep the text and its encoding.
  if ((encoded || isTextual(type)) && isSevenBitSafe(crlf)) return [header(entity.fields), crlf];
  const decoded = decodeTransfer(entity.body, encoding);
  // NUL in "text" is UTF-16 or worse: its line ends are not ours to touch.
  if (isTextual(type) && !decoded.includes(0))
    return [header(entity.fields, 'quoted-printable'), encodeQuotedPrintable(toCrlf(decoded))];
  return [header(entity.fields, 'base64'), encodeBase64(decoded)];
}

function isTextual(type: ParameterizedValue): boolean {
  return type.value.startsWith('text/') || type.value.startsWith('message/') || type.value.startsWith('multipart/');
}

/** The header block and the empty line; a transfer encoding that is given takes the place of the one there. */
function header(fields: readonly HeaderField[], encoding?: string): Buffer {
  const line = Buffer.from(`Content-Transfer-Encoding: ${encoding ?? '7bit'}\r\n`, 'latin1');
  const lines: Buffer[] = [];
  let placed = false;
  for (const field of fields) {
    const replaced = field.name === 'content-transfer-encoding';
    if (!replaced || encoding === undefined) lines.push(fieldLines(field.raw));
    else if (!placed) lines.push(line);
    placed ||= replaced;
  }
  if (!placed) lines.push(line);
  return Buffer.concat([...lines, CRLF]);
}

/**
 * A field with CRLF at the end of each line, also of the last one of an entity without an empty line. A bare CR ends no
 * line of a header: made one, or a space at a line start, it would make fields that nobody wrote.
 */
function fieldLines(raw: Buffer): Buffer {
  if (raw.at(-1) === LF && isLineSafe(raw)) return raw;
  const text = raw
    .toString('latin1')
    .replace(/\r?\n$/, '')
    .replace(/(?<!\r)\n/g, '\r\n')
    .replace(/(?<=^|\n)(?:\0|\r(?!\n))/g, '?')
    .replace(/\0|\r(?!\n)/g, ' ');
  return Buffer.from(`${text}\r\n`, 'latin1');
}

/** Content type of an entity, the default of RFC 2045 §5.2 when there is none. */
export function typeOf(fields: readonly HeaderField[]): ParameterizedValue {
  return fields.find(({ name }) => name === 'content-type')?.parameterized ?? DEFAULT_TYPE;
}
