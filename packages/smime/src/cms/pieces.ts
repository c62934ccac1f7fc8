// DER around content that is not copied: headers are computed from lengths, the content stays in its pieces.
import { context, TAG } from '../pki/der.ts';
import { oid } from '../pki/der-write.ts';

export function lengthOf(pieces: readonly Uint8Array[]): number {
  let length = 0;
  for (const piece of pieces) length += piece.length;
  return length;
}

/** Identifier and length octets of an element with `length` octets of content. */
export function elementHeader(tag: number, length: number): Buffer {
  if (length < 0x80) return Buffer.of(tag, length);
  const octets = length < 0x100 ? 1 : length < 0x10000 ? 2 : length < 0x1000000 ? 3 : 4;
  const header = Buffer.alloc(2 + octets);
  header[0] = tag;
  header[1] = 0x80 | octets;
  header.writeUIntBE(length, 2, octets);
  return header;
}

/** An element whose content is the pieces. */
export function element(tag: number, ...pieces: Buffer[]): Buffer[] {
  return [elementHeader(tag, lengthOf(pieces)), ...pieces];
}

/** ContentInfo (RFC 5652 §3) around the pieces of a content. */
export function contentInfo(type: string, content: readonly Buffer[]): Buffer[] {
  return element(TAG.sequence, oid(type), ...element(context(0, true), ...content));
}
