// Addresses of From, Sender, To and their kin (RFC 5322 §3.4 with obsolete forms, RFC 6532): only the addr-specs.
// Display names, comments and routes are dropped: nothing a sender can write there may pass for an address.
import { MAX_MAILBOXES } from './limits.ts';

type Token = { readonly kind: 'atom' | 'quoted' | 'literal'; readonly text: string } | { readonly kind: Special };
type Special = '<' | '>' | ',' | ':' | ';' | '@' | '.';

const SPECIALS = new Set<string>(['<', '>', ',', ':', ';', '@', '.']);
const ATOM_END = /[\s()<>,:;@."[\]\\]/;
const DOT_ATOM = /^[^\s()<>,:;@"[\]\\.]+(\.[^\s()<>,:;@"[\]\\.]+)*$/;

/**
 * The addr-specs of a mailbox or address list in order, `local@domain`, quotes of the local part kept only where
 * they are needed. A piece that is no address is left out.
 */
export function parseMailboxes(value: string): string[] {
  const found: string[] = [];
  let piece: Token[] = [];
  let angle: Token[] | undefined;
  for (const token of tokenize(value)) {
    if (found.length > MAX_MAILBOXES) break;
    if (token.kind === '<') angle = [];
    else if (token.kind === '>') {
      if (angle !== undefined) add(found, angle);
      angle = undefined;
      piece = [];
    } else if (token.kind === ':' && angle !== undefined) angle = [];
    else if (token.kind === ',' && angle !== undefined && angle[0]?.kind === '@') angle = [];
    else if (token.kind === ',' || token.kind === ';') {
      add(found, angle ?? piece);
      piece = [];
      angle = undefined;
    } else if (token.kind === ':') piece = [];
    else (angle ?? piece).push(token);
  }
  add(found, angle ?? piece);
  return found;
}

function add(found: string[], tokens: readonly Token[]): void {
  const at = tokens.findLastIndex((token) => token.kind === '@');
  if (at <= 0 || at === tokens.length - 1) return;
  const local = localPart(tokens.slice(0, at));
  const domain = domainOf(tokens.slice(at + 1));
  if (local !== undefined && domain !== undefined) found.push(`${local}@${domain}`);
}

function localPart(tokens: readonly Token[]): string | undefined {
  const text = joinWords(tokens);
  if (text === undefined || text === '') return undefined;
  return DOT_ATOM.test(text) ? text : `"${text.replace(/["\\]/g, '\\$&')}"`;
}

function domainOf(tokens: readonly Token[]): string | undefined {
  const [only] = tokens;
  if (tokens.length === 1 && only?.kind === 'literal') return only.text;
  if (tokens.some((token) => token.kind === 'quoted' || token.kind === 'literal')) return undefined;
  const text = joinWords(tokens);
  return text !== undefined && DOT_ATOM.test(text) ? text : undefined;
}

/** Words and dots must alternate: `Alice a@x` without angle brackets has two words in a row and is no address. */
function joinWords(tokens: readonly Token[]): string | undefined {
  const pieces: string[] = [];
  let afterWord = false;
  for (const token of tokens) {
    if (token.kind === '.') {
      pieces.push('.');
      afterWord = false;
    } else if ((token.kind === 'atom' || token.kind === 'quoted') && !afterWord) {
      pieces.push(token.text);
      afterWord = true;
    } else return undefined;
  }
  return pieces.join('');
}

function* tokenize(value: string): Generator<Token> {
  let at = 0;
  while (at < value.length) {
    const char = value[at] ?? '';
    if (char === '(') at = skipComment(value, at);
    else if (char === '"') {
      const end = closing(value, at, '"');
      yield { kind: 'quoted', text: value.slice(at + 1, end).replace(/\\(.)/gs, '$1') };
      at = end + 1;
    } else if (char === '[') {
      const end = closing(value, at, ']');
      // One that does not end is no domain: it would swallow whatever stands behind it.
      if (end < value.length) yield { kind: 'literal', text: value.slice(at, end + 1) };
      at = end + 1;
    } else if (SPECIALS.has(char)) {
      yield { kind: char as Special };
      at += 1;
    } else if (ATOM_END.test(char)) at += 1;
    else {
      const start = at;
      while (at < value.length && !ATOM_END.test(value[at] ?? '')) at += 1;
      yield { kind: 'atom', text: value.slice(start, at) };
    }
  }
}

function closing(value: string, start: number, close: string): number {
  for (let at = start + 1; at < value.length; at++) {
    if (value[at] === '\\') at += 1;
    else if (value[at] === close) return at;
  }
  return value.length;
}

/** Comments nest; counted, not recursed. */
function skipComment(value: string, start: number): number {
  let depth = 0;
  for (let at = start; at < value.length; at++) {
    const char = value[at];
    if (char === '\\') at += 1;
    else if (char === '(') depth += 1;
    else if (char === ')') {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return value.length;
}
