// DER writer (X.690 §10): small functions that nest like the structure they build. Output is deterministic:
// minimal lengths, sorted SET OF, UTCTime through 2049 (RFC 5280 §4.1.2.5).
import { asBuffer, context, TAG } from './der.ts';

function header(tag: number, length: number): Buffer {
  if (length < 0x80) return Buffer.from([tag, length]);
  if (length < 0x100) return Buffer.from([tag, 0x81, length]);
  if (length < 0x10000) return Buffer.from([tag, 0x82, length >> 8, length & 0xff]);
  const bytes = Buffer.alloc(length < 0x1000000 ? 5 : 6);
  bytes[0] = tag;
  bytes[1] = 0x80 | (bytes.length - 2);
  bytes.writeUIntBE(length, 2, bytes.length - 2);
  return bytes;
}

/** One element with this identifier octet; the parts are its content in order. */
export function tlv(tag: number, ...parts: Uint8Array[]): Buffer {
  let length = 0;
  for (const part of parts) length += part.length;
  return Buffer.concat([header(tag, length), ...parts]);
}

export function sequence(...parts: Uint8Array[]): Buffer {
  return tlv(TAG.sequence, ...parts);
}

/** SET OF, sorted by encoding as DER demands; `tag` for an implicitly tagged one. */
export function setOf(parts: readonly Uint8Array[], tag: number = TAG.set): Buffer {
  return tlv(tag, Buffer.concat([...parts].sort(Buffer.compare)));
}

/** [n] EXPLICIT. */
export function explicit(number: number, ...parts: Uint8Array[]): Buffer {
  return tlv(context(number, true), ...parts);
}

/** [n] IMPLICIT of a primitive type, given its content octets. */
export function implicit(number: number, content: Uint8Array): Buffer {
  return tlv(context(number), content);
}

/** INTEGER from a number, or from unsigned big-endian bytes of any length. */
export function integer(value: number | Uint8Array): Buffer {
  if (typeof value !== 'number') return integerOf(asBuffer(value));
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError('integer');
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return integerOf(bytes);
}

function integerOf(unsigned: Buffer): Buffer {
  let start = 0;
  while (start < unsigned.length - 1 && unsigned[start] === 0) start += 1;
  const body = unsigned.subarray(start);
  if (body.length === 0) return tlv(TAG.integer, Buffer.of(0));
  return (body[0] ?? 0) >= 0x80 ? tlv(TAG.integer, Buffer.of(0), body) : tlv(TAG.integer, body);
}

const oids = new Map<string, Buffer>();

/** OBJECT IDENTIFIER from its dotted form. */
export function oid(dotted: string): Buffer {
  const known = oids.get(dotted);
  if (known !== undefined) return known;
  const arcs = dotted.split('.').map((arc) => BigInt(arc));
  const [first = 0n, second = 0n, ...rest] = arcs;
  const bytes: number[] = [];
  for (const arc of [first * 40n + second, ...rest]) {
    const septets = [Number(arc & 0x7fn)];
    for (let left = arc >> 7n; left > 0n; left >>= 7n) septets.unshift(Number(left & 0x7fn) | 0x80);
    bytes.push(...septets);
  }
  // Not from Node's pool: what is kept would keep a whole slab of it.
  const encoded = Buffer.from(Uint8Array.of(...header(TAG.oid, bytes.length), ...bytes).buffer);
  if (oids.size < 512) oids.set(dotted, encoded);
  return encoded;
}

export function octetString(content: Uint8Array): Buffer {
  return tlv(TAG.octetString, content);
}

/** BIT STRING of whole octets. */
export function bitString(content: Uint8Array): Buffer {
  return tlv(TAG.bitString, Buffer.of(0), content);
}

/** BIT STRING of named bits, trailing zero bits dropped (X.690 §11.2.2). */
export function namedBits(bits: readonly number[]): Buffer {
  if (bits.length === 0) return tlv(TAG.bitString, Buffer.of(0));
  const highest = Math.max(...bits);
  const content = Buffer.alloc((highest >> 3) + 1);
  for (const bit of bits) content[bit >> 3] = (content[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  return tlv(TAG.bitString, Buffer.of(7 - (highest & 7)), content);
}

export function boolean(value: boolean): Buffer {
  return tlv(TAG.boolean, Buffer.of(value ? 0xff : 0));
}

export const NULL = Buffer.from([TAG.null, 0]);

export function utf8String(text: string): Buffer {
  return tlv(TAG.utf8String, Buffer.from(text, 'utf8'));
}

/** UTCTime through 2049, GeneralizedTime from 2050 on and before 1950; whole seconds. */
export function time(date: Date): Buffer {
  const stamp = date
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replace(/[-:T]/g, '');
  const year = date.getUTCFullYear();
  if (year < 0 || year > 9999) throw new RangeError('time');
  if (year >= 1950 && year < 2050) return tlv(TAG.utcTime, Buffer.from(stamp.slice(2), 'latin1'));
  return tlv(TAG.generalizedTime, Buffer.from(stamp, 'latin1'));
}

/** AlgorithmIdentifier; `parameters` is a whole element, NULL when the algorithm wants it, absent otherwise. */
export function algorithmIdentifier(dotted: string, parameters?: Uint8Array): Buffer {
  return parameters === undefined ? sequence(oid(dotted)) : sequence(oid(dotted), parameters);
}
