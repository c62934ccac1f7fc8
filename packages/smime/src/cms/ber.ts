// BER reader (X.690 §8) for received CMS: indefinite and padded lengths, constructed strings. One level at a time,
// like the DER cursor of pki, so nesting costs explicit calls; content is never copied, only viewed.
import { SmimeError } from '../errors.ts';
import { context, type DerNode, TAG } from '../pki/der.ts';
import { tlv } from '../pki/der-write.ts';
import { MAX_BER_DEPTH, MAX_STRING_CHUNKS } from './limits.ts';

const CONSTRUCTED = 0x20;

/** An element; `content` of an indefinite one excludes its end-of-contents octets. `bytes` are as received. */
export interface BerNode extends DerNode {
  readonly indefinite: boolean;
}

/** Views are made when they are asked for: most elements of a message are passed over or looked at once. */
class Element implements BerNode {
  readonly tag: number;
  readonly indefinite: boolean;
  readonly #buffer: Buffer;
  readonly #start: number;
  readonly #contentStart: number;
  readonly #contentEnd: number;

  constructor(buffer: Buffer, start: number, header: Header, contentEnd: number) {
    this.tag = header.tag;
    this.indefinite = header.length === -1;
    this.#buffer = buffer;
    this.#start = start;
    this.#contentStart = header.contentStart;
    this.#contentEnd = contentEnd;
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(this.#start, this.#contentEnd + (this.indefinite ? END_OCTETS : 0));
  }

  get content(): Buffer {
    return this.#buffer.subarray(this.#contentStart, this.#contentEnd);
  }

  cursor(): BerCursor {
    return new BerCursor(this.#buffer, this.#contentStart, this.#contentEnd);
  }
}

/** End-of-contents octets behind an indefinite element. */
const END_OCTETS = 2;

function malformed(): never {
  throw new SmimeError('malformed-cms');
}

interface Header {
  readonly tag: number;
  readonly contentStart: number;
  /** -1 when indefinite. */
  readonly length: number;
}

/** Reads identifier and length octets; `limit` is where the surrounding element ends. */
function readHeader(buffer: Buffer, start: number, limit: number): Header {
  if (start + 2 > limit) return malformed();
  const tag = buffer[start] ?? malformed();
  const first = buffer[start + 1] ?? malformed();
  // Tag numbers above 30 appear nowhere in CMS.
  if ((tag & 0x1f) === 0x1f) return malformed();
  if (first < 0x80) return { tag, contentStart: start + 2, length: first };
  if (first === 0x80) return (tag & CONSTRUCTED) === 0 ? malformed() : { tag, contentStart: start + 2, length: -1 };
  const octets = first & 0x7f;
  const contentStart = start + 2 + octets;
  if (octets > 8 || contentStart > limit) return malformed();
  let length = 0;
  for (let at = start + 2; at < contentStart; at++) length = length * 256 + (buffer[at] ?? malformed());
  return { tag, contentStart, length };
}

/** Offset of the end-of-contents octets that close an indefinite element. Iterative; bounded depth. */
function findEnd(buffer: Buffer, contentStart: number, limit: number): number {
  let open = 1;
  let at = contentStart;
  for (;;) {
    if (at + END_OCTETS > limit) malformed();
    if (buffer[at] === 0 && buffer[at + 1] === 0) {
      open -= 1;
      if (open === 0) return at;
      at += END_OCTETS;
      continue;
    }
    const header = readHeader(buffer, at, limit);
    at = header.contentStart;
    if (header.length === -1) {
      open += 1;
      if (open > MAX_BER_DEPTH) malformed();
    } else at += header.length;
  }
}

/** Reads siblings one after the other. Throws SmimeError `malformed-cms`. */
export class BerCursor {
  readonly #buffer: Buffer;
  readonly #end: number;
  #offset: number;

  /** Reads what lies between two offsets of the buffer. */
  constructor(buffer: Buffer, start = 0, end = buffer.length) {
    this.#buffer = buffer;
    this.#offset = start;
    this.#end = end;
  }

  get done(): boolean {
    return this.#offset >= this.#end;
  }

  /** Identifier octet of the next element, or -1 at the end. */
  get peek(): number {
    return this.done ? -1 : (this.#buffer[this.#offset] ?? -1);
  }

  next(tag?: number): BerNode {
    const buffer = this.#buffer;
    const start = this.#offset;
    const limit = this.#end;
    const header = readHeader(buffer, start, limit);
    if (tag !== undefined && header.tag !== tag) malformed();
    const indefinite = header.length === -1;
    const contentEnd = indefinite ? findEnd(buffer, header.contentStart, limit) : header.contentStart + header.length;
    const end = indefinite ? contentEnd + END_OCTETS : contentEnd;
    if (end > limit) malformed();
    this.#offset = end;
    return new Element(buffer, start, header, contentEnd);
  }

  optional(tag: number): BerNode | undefined {
    return this.peek === tag ? this.next(tag) : undefined;
  }

  /** The next element when it is the context tag `number`, primitive or constructed. */
  optionalContext(number: number): BerNode | undefined {
    const tag = this.peek;
    return tag === context(number) || tag === context(number, true) ? this.next() : undefined;
  }

  /** OCTET STRING, primitive or constructed. */
  octetString(): BerNode {
    const node = this.next();
    return (node.tag & ~CONSTRUCTED) === TAG.octetString ? node : malformed();
  }
}

/** Cursor over the children of a constructed element. */
export function enterBer(node: DerNode): BerCursor {
  if ((node.tag & CONSTRUCTED) === 0) malformed();
  return node instanceof Element ? node.cursor() : new BerCursor(node.content);
}

/** Children of a constructed element, at most `limit`; more is SmimeError `limit-exceeded`. */
export function berChildren(node: DerNode, limit: number): BerNode[] {
  const cursor = enterBer(node);
  const nodes: BerNode[] = [];
  while (!cursor.done) {
    if (nodes.length === limit) throw new SmimeError('limit-exceeded');
    nodes.push(cursor.next());
  }
  return nodes;
}

/** The octets of a string, primitive or constructed, as views of the input in order. */
export function stringChunks(node: DerNode): Buffer[] {
  const chunks: Buffer[] = [];
  collectChunks(node, chunks, 0);
  return chunks;
}

function collectChunks(node: DerNode, chunks: Buffer[], depth: number): void {
  if ((node.tag & CONSTRUCTED) === 0) {
    if (chunks.push(node.content) > MAX_STRING_CHUNKS) throw new SmimeError('limit-exceeded');
    return;
  }
  if (depth === MAX_BER_DEPTH) malformed();
  const cursor = new BerCursor(node.content);
  while (!cursor.done) collectChunks(cursor.octetString(), chunks, depth + 1);
}

/** The octets of a string in one buffer; a view when it is in one piece. */
export function stringOctets(node: DerNode): Buffer {
  const chunks = stringChunks(node);
  const [only] = chunks;
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks);
}

/**
 * The element in definite form with minimal lengths and primitive octet strings: DER but for the order of SET OF,
 * which is kept. What is signed or hashed must be in this form (RFC 5652 §5.4).
 */
export function toDefinite(node: DerNode, depth = 0): Buffer {
  if ((node.tag & CONSTRUCTED) === 0) return tlv(node.tag, node.content);
  if (depth === MAX_BER_DEPTH) malformed();
  if (node.tag === (TAG.octetString | CONSTRUCTED)) return tlv(TAG.octetString, stringOctets(node));
  const cursor = new BerCursor(node.content);
  const parts: Buffer[] = [];
  while (!cursor.done) parts.push(toDefinite(cursor.next(), depth + 1));
  // Not spread: a hostile element may have more children than a call may have arguments.
  return tlv(node.tag, Buffer.concat(parts));
}
