// Length-prefixed fields behind a version byte and a suite id: how blobs, tickets, plans and leases are written, so that a
// reader never has to guess where a field ends and one encoding exists for one meaning.

import { fail } from './errors.ts';

/** Longest single field; a certificate or a key id is far below it. */
const maxField = 0xffff;

/** Writes `version, suite` and each field with a 16-bit length before it. Strings are UTF-8. */
export function writeFrame(version: number, suite: number, fields: readonly (string | Buffer)[]): Buffer {
  const parts: Buffer[] = [Buffer.from([version, suite])];
  for (const field of fields) {
    const bytes = typeof field === 'string' ? Buffer.from(field, 'utf8') : field;
    if (bytes.length > maxField) throw fail('sealed-malformed');
    parts.push(Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes);
  }
  return Buffer.concat(parts);
}

export interface Frame {
  readonly version: number;
  readonly suite: number;
  readonly fields: readonly Buffer[];
  /** Where the fields end in the bytes read. */
  readonly end: number;
}

/** Reads exactly `count` fields; what follows them stays unread. Throws `sealed-malformed` when bytes are missing. */
export function readFrame(bytes: Buffer, count: number): Frame {
  const version = bytes[0];
  const suite = bytes[1];
  if (version === undefined || suite === undefined) throw fail('sealed-malformed');
  const fields: Buffer[] = [];
  let at = 2;
  for (let i = 0; i < count; i++) {
    if (at + 2 > bytes.length) throw fail('sealed-malformed');
    const length = bytes.readUInt16BE(at);
    at += 2;
    if (at + length > bytes.length) throw fail('sealed-malformed');
    fields.push(bytes.subarray(at, at + length));
    at += length;
  }
  return { version, suite, fields, end: at };
}

/** Milliseconds since 1970 as eight bytes. */
export function timeField(at: Date): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(at.getTime()));
  return bytes;
}

export function readTimeField(bytes: Buffer): Date {
  if (bytes.length !== 8) throw fail('sealed-malformed');
  const at = new Date(Number(bytes.readBigUInt64BE()));
  if (Number.isNaN(at.getTime())) throw fail('sealed-malformed');
  return at;
}
