// Structured values with parameters (RFC 2045 §5.1, RFC 2183, continuations of RFC 2231 §3): Content-Type and
// Content-Disposition. A scanner, not a pattern: linear on any input, and lenient where real mailers err.
import { MAX_BOUNDARY_LENGTH } from './limits.ts';

export interface ParameterizedValue {
  /** Lower-case media type or disposition, without comments. */
  readonly value: string;
  /** Lower-case names; values as written, unquoted. The first of equal names counts. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** Default of RFC 2045 §5.2. */
export const DEFAULT_TYPE: ParameterizedValue = {
  value: 'text/plain',
  parameters: new Map([['charset', 'us-ascii']]),
};

export function parseParameterized(text: string): ParameterizedValue {
  const pieces = splitPieces(text);
  const raw = new Map<string, string>();
  for (const piece of pieces.slice(1)) {
    const equals = piece.indexOf('=');
    if (equals === -1) continue;
    const name = piece.slice(0, equals).trim().toLowerCase();
    if (!raw.has(name)) raw.set(name, unquote(piece.slice(equals + 1).trim()));
  }
  return { value: (pieces[0] ?? '').replace(/\s+/g, '').toLowerCase(), parameters: joinContinuations(raw) };
}

/** The boundary of a multipart, or undefined when there is none that could be used. */
export function boundaryOf(type: ParameterizedValue): string | undefined {
  const boundary = type.parameters.get('boundary')?.trimEnd();
  if (boundary === undefined || boundary === '' || boundary.length > MAX_BOUNDARY_LENGTH) return undefined;
  return boundary;
}

/** Splits at semicolons outside quotes and drops comments. Quotes stay in the pieces. */
function splitPieces(text: string): string[] {
  const pieces: string[] = [];
  let piece: string[] = [];
  let quoted = false;
  let comment = 0;
  let from = 0;
  const flush = (end: number): void => {
    if (comment === 0) piece.push(text.slice(from, end));
  };
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '\\' && (quoted || comment > 0)) at += 1;
    else if (char === '"' && comment === 0) quoted = !quoted;
    else if (quoted) continue;
    else if (char === '(') {
      flush(at);
      comment += 1;
    } else if (char === ')' && comment > 0) {
      comment -= 1;
      from = at + 1;
    } else if (char === ';' && comment === 0) {
      flush(at);
      pieces.push(piece.join('').trim());
      piece = [];
      from = at + 1;
    }
  }
  flush(text.length);
  pieces.push(piece.join('').trim());
  return pieces;
}

function unquote(value: string): string {
  if (!value.startsWith('"')) return value;
  const end = value.length > 1 && value.endsWith('"') ? value.length - 1 : value.length;
  return value.slice(1, end).replace(/\\(.)/gs, '$1');
}

/** `name*0=…; name*1=…` becomes one `name`; `name*=charset'lang'text` is percent-decoded as UTF-8. */
function joinContinuations(raw: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  let plain = true;
  for (const name of raw.keys()) if (name.includes('*')) plain = false;
  if (plain) return raw;
  const joined = new Map<string, string>();
  for (const [name, value] of raw) {
    const star = name.indexOf('*');
    if (star === -1) {
      joined.set(name, value);
      continue;
    }
    const base = name.slice(0, star);
    if (joined.has(base)) continue;
    if (name === `${base}*`) joined.set(base, percentDecode(value, true));
    else if (name === `${base}*0` || name === `${base}*0*`) joined.set(base, collect(raw, base));
  }
  return joined;
}

function collect(raw: ReadonlyMap<string, string>, base: string): string {
  const pieces: string[] = [];
  for (let index = 0; ; index++) {
    const plain = raw.get(`${base}*${index}`);
    const encoded = raw.get(`${base}*${index}*`);
    if (plain !== undefined) pieces.push(plain);
    else if (encoded !== undefined) pieces.push(percentDecode(encoded, index === 0));
    else return pieces.join('');
  }
}

function percentDecode(value: string, withCharset: boolean): string {
  const text = withCharset ? value.replace(/^[^']*'[^']*'/, '') : value;
  const bytes = text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
