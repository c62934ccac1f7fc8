// DER reader (X.690 §8, §10): strict, one level at a time, so nesting costs the caller one explicit call per
// level and no input can make it recurse. Lengths are definite, minimal and inside the input; views share memory
// with the input and nothing is copied. The writer is der-write.ts; BER of received CMS is the cms room's concern.
import { SmimeError } from '../errors.ts';

/** Elements read from one constructed value at most: above every certificate and CMS header; CRLs use a cursor. */
const MAX_CHILDREN = 4096;

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  sequence: 0x30,
  set: 0x31,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  visibleString: 0x1a,
  universalString: 0x1c,
  bmpString: 0x1e,
} as const;

/** One element. `tag` is the identifier octet (class, constructed bit and number below 31). */
export interface DerNode {
  readonly tag: number;
  /** Identifier, length and content. */
  readonly bytes: Buffer;
  readonly content: Buffer;
}

/** Context tag as an identifier octet: `context(0)` is a primitive [0], `context(0, true)` a constructed one. */
export function context(number: number, constructed = false): number {
  return (constructed ? 0xa0 : 0x80) | number;
}

function malformed(): never {
  throw new SmimeError('malformed-der');
}

/** Reads siblings one after the other. Throws SmimeError `malformed-der`. */
export class DerCursor {
  readonly #buffer: Buffer;
  #offset = 0;

  constructor(content: Buffer) {
    this.#buffer = content;
  }

  get done(): boolean {
    return this.#offset === this.#buffer.length;
  }

  /** Identifier octet of the next element, or -1 at the end. */
  get peek(): number {
    return this.#buffer[this.#offset] ?? -1;
  }

  /** The next element; when `tag` is given it must be that one. */
  next(tag?: number): DerNode {
    const buffer = this.#buffer;
    const start = this.#offset;
    const found = buffer[start];
    const first = buffer[start + 1];
    if (found === undefined || first === undefined) return malformed();
    if ((found & 0x1f) === 0x1f || (tag !== undefined && found !== tag)) return malformed();
    let at = start + 2;
    let length = first;
    if (first >= 0x80) {
      const octets = first & 0x7f;
      if (octets === 0 || octets > 4) return malformed();
      length = 0;
      for (let i = 0; i < octets; i++) length = length * 256 + (buffer[at + i] ?? malformed());
      at += octets;
      if (length < 0x80 || length < 256 ** (octets - 1)) return malformed();
    }
    const end = at + length;
    if (end > buffer.length) return malformed();
    this.#offset = end;
    return { tag: found, bytes: buffer.subarray(start, end), content: buffer.subarray(at, end) };
  }

  /** The next element if it has this tag, else undefined and nothing is consumed. */
  optional(tag: number): DerNode | undefined {
    return this.peek === tag ? this.next(tag) : undefined;
  }

  /** Asserts that nothing is left. */
  end(): void {
    if (!this.done) malformed();
  }
}

/** The one element that `bytes` is made of; trailing bytes are refused. */
export function readDer(bytes: Uint8Array, tag?: number): DerNode {
  const cursor = new DerCursor(asBuffer(bytes));
  const node = cursor.next(tag);
  cursor.end();
  return node;
}

/** The direct children of a constructed element. */
export function children(node: DerNode, limit = MAX_CHILDREN): DerNode[] {
  if ((node.tag & 0x20) === 0) malformed();
  const cursor = new DerCursor(node.content);
  const nodes: DerNode[] = [];
  while (!cursor.done) {
    if (nodes.length === limit) malformed();
    nodes.push(cursor.next());
  }
  return nodes;
}

/** Cursor over the children of a constructed element. */
export function enter(node: DerNode): DerCursor {
  if ((node.tag & 0x20) === 0) malformed();
  return new DerCursor(node.content);
}

/** A Buffer over the same memory. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Dotted form. Arcs above 2^53 are kept exact. Accepts an implicitly tagged OID too: only content is read. */
export function readOid(node: DerNode): string {
  const { content } = node;
  if (content.length === 0 || content.length > 128 || (content[content.length - 1] ?? 0) >= 0x80) malformed();
  const known = oidNames.get(content.toString('latin1'));
  if (known !== undefined) return known;
  const arcs: string[] = [];
  let small = 0;
  let big = 0n;
  let fresh = true;
  for (const octet of content) {
    if (fresh && octet === 0x80) malformed();
    fresh = octet < 0x80;
    if (big === 0n && small < 2 ** 45) small = small * 128 + (octet & 0x7f);
    else big = (big === 0n ? BigInt(small) : big) * 128n + BigInt(octet & 0x7f);
    if (!fresh) continue;
    if (arcs.length > 0) arcs.push(big === 0n ? String(small) : String(big));
    else if (big !== 0n) arcs.push('2', String(big - 80n));
    else
      arcs.push(String(Math.min(2, Math.floor(small / 40))), String(small - 40 * Math.min(2, Math.floor(small / 40))));
    small = 0;
    big = 0n;
  }
  const name = arcs.join('.');
  // A bounded memory of spellings: the same few dozen OIDs make up all real mail.
  if (oidNames.size < 512) oidNames.set(content.toString('latin1'), name);
  return name;
}

const oidNames = new Map<string, string>();

/** INTEGER content as two's complement bytes, minimal as DER wants it. */
export function readIntegerBytes(node: DerNode): Buffer {
  const [first, second] = node.content;
  if (first === undefined) malformed();
  if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))) malformed();
  return node.content;
}

/** A small non-negative INTEGER (versions, counts, path lengths): anything from 2^31 on is refused. */
export function readSmallInteger(node: DerNode): number {
  const bytes = readIntegerBytes(node);
  if (bytes.length > 4 || (bytes[0] ?? 0) >= 0x80) malformed();
  return bytes.readUIntBE(0, bytes.length);
}

export function readBoolean(node: DerNode): boolean {
  const value = node.content[0];
  if (node.content.length !== 1 || (value !== 0 && value !== 0xff)) malformed();
  return value === 0xff;
}

/** The octets of a BIT STRING that has whole octets (keys, signatures). */
export function readOctetBits(node: DerNode): Buffer {
  if (node.content[0] !== 0) malformed();
  return node.content.subarray(1);
}

/** The named bits that are set (X.680 §22): bit 0 is the highest of the first octet. */
export function readNamedBits(node: DerNode): number[] {
  const unused = node.content[0] ?? malformed();
  if (unused > 7 || node.content.length > 5 || (unused > 0 && node.content.length === 1)) malformed();
  const bits: number[] = [];
  const total = (node.content.length - 1) * 8 - unused;
  for (let bit = 0; bit < total; bit++) {
    if (((node.content[1 + (bit >> 3)] ?? 0) >> (7 - (bit & 7))) & 1) bits.push(bit);
  }
  return bits;
}

const TIME = /^(\d{2}|\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/;

/** UTCTime or GeneralizedTime as RFC 5280 §4.1.2.5 profiles them: seconds, Z, no fraction. */
export function readTime(node: DerNode): Date {
  const match = TIME.exec(node.content.toString('latin1'));
  const utc = node.tag === TAG.utcTime;
  if (match === null || (!utc && node.tag !== TAG.generalizedTime)) return malformed();
  const [, year = '', month = '', day = '', hour = '', minute = '', second = ''] = match;
  if (year.length !== (utc ? 2 : 4)) malformed();
  const full = utc ? Number(year) + (Number(year) < 50 ? 2000 : 1900) : Number(year);
  const date = new Date(0);
  date.setUTCFullYear(full, Number(month) - 1, Number(day));
  date.setUTCHours(Number(hour), Number(minute), Number(second));
  // A date that rolls over (31 February, hour 24) is not the date that was signed.
  const same = date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day);
  if (!same || date.getUTCHours() !== Number(hour) || date.getUTCMinutes() !== Number(minute)) malformed();
  if (date.getUTCSeconds() !== Number(second)) malformed();
  return date;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Text of any directory string type. Teletex is read as Latin-1, as every other implementation does. */
export function readText(node: DerNode): string {
  const { content } = node;
  switch (node.tag) {
    case TAG.utf8String:
      try {
        return utf8.decode(content);
      } catch {
        return malformed();
      }
    case TAG.printableString:
    case TAG.ia5String:
    case TAG.visibleString:
    case 0x12: // NumericString
      if (content.some((octet) => octet >= 0x80)) malformed();
      return content.toString('latin1');
    case TAG.teletexString:
      return content.toString('latin1');
    case TAG.bmpString: {
      if (content.length % 2 !== 0) malformed();
      return Buffer.from(content).swap16().toString('utf16le');
    }
    case TAG.universalString: {
      if (content.length % 4 !== 0) malformed();
      const points: string[] = [];
      for (let i = 0; i < content.length; i += 4) {
        const point = content.readUInt32BE(i);
        if (point > 0x10ffff) malformed();
        points.push(String.fromCodePoint(point));
      }
      return points.join('');
    }
    default:
      return malformed();
  }
}
