// Multipart bodies cut at their delimiters (RFC 2046 §5.1.1) with nothing decoded and nothing copied: what lies
// between two delimiters is the part, byte for byte, without the line end that belongs to the second one.
import { SmimeError } from '../errors.ts';
import { MAX_PARTS } from './limits.ts';

export interface Multipart {
  /** Before the first delimiter line. */
  readonly preamble: Buffer;
  readonly parts: readonly Buffer[];
  /** After the closing delimiter line; empty when it is missing. */
  readonly epilogue: Buffer;
  readonly closed: boolean;
  /** Each delimiter with the line ends that belong to it, in order: preamble, delimiter, part, … rebuild the body. */
  readonly delimiters: readonly Buffer[];
}

const LF = 0x0a;
const CR = 0x0d;

/** Throws SmimeError `limit-exceeded` for too many parts. */
export function readMultipart(body: Buffer, boundary: string): Multipart {
  const mark = Buffer.from(`--${boundary}`, 'utf8');
  const parts: Buffer[] = [];
  const delimiters: Buffer[] = [];
  let preamble = body;
  let contentStart = 0;
  let closed = false;
  let epilogue = body.subarray(body.length);
  for (let at = body.indexOf(mark); at !== -1; at = body.indexOf(mark, at + mark.length)) {
    const line = delimiterLine(body, at, mark.length);
    if (line === undefined) continue;
    // Two delimiters in a row share one line end, so the part between them is empty.
    const contentEnd = Math.max(contentStart, endBefore(body, at));
    if (delimiters.length === 0) preamble = body.subarray(0, contentEnd);
    else parts.push(body.subarray(contentStart, contentEnd));
    if (parts.length > MAX_PARTS) throw new SmimeError('limit-exceeded');
    delimiters.push(body.subarray(contentEnd, line.end));
    contentStart = line.end;
    if (line.closing) {
      closed = true;
      epilogue = body.subarray(line.end);
      break;
    }
  }
  if (!closed && delimiters.length > 0) parts.push(body.subarray(contentStart));
  return { preamble, parts, epilogue, closed, delimiters };
}

/**
 * A delimiter stands at a line start and only `--` and white space may follow on its line. CR counts as white space
 * there: a second one before the LF, or one at the very end, would become a line end when the text is made canonical.
 */
function delimiterLine(body: Buffer, at: number, length: number): { end: number; closing: boolean } | undefined {
  if (at > 0 && body[at - 1] !== LF) return undefined;
  let next = at + length;
  const closing = body[next] === 0x2d && body[next + 1] === 0x2d;
  if (closing) next += 2;
  while (body[next] === 0x20 || body[next] === 0x09 || body[next] === CR) next += 1;
  if (next >= body.length) return { end: body.length, closing };
  return body[next] === LF ? { end: next + 1, closing } : undefined;
}

function endBefore(body: Buffer, delimiter: number): number {
  if (delimiter === 0) return 0;
  return delimiter >= 2 && body[delimiter - 2] === CR ? delimiter - 2 : delimiter - 1;
}
