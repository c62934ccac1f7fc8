// A message with its protection taken off: the outer fields as they were, the content fields and body of the inside.

import { sevenBitEntity } from './mime/canonical.ts';
import { describesContent, type Entity, type HeaderField } from './mime/header.ts';

const CRLF = Buffer.from('\r\n');

/**
 * Fields of the inside other than content fields are left out: an attacker who may choose them must not overwrite the
 * envelope's. Line ends that SMTP forbids are mended here, after the signature has been checked over what was sent.
 * `lineSafe` says whether any are needed; `scratch` is memory that may be overwritten: a body in it stays where it is.
 */
export function replaceContent(
  outer: readonly HeaderField[],
  inner: Entity,
  lineSafe: boolean,
  scratch?: ArrayBufferLike,
): Buffer {
  const content = inner.fields.filter(describesContent);
  const versioned = content.some((field) => field.name === 'mime-version');
  const kept = outer.filter((field) => !describesContent(field) || (!versioned && field.name === 'mime-version'));
  const head = kept.map((field) => field.raw);
  if (!lineSafe) return Buffer.concat([...head, ...sevenBitEntity(content, inner.body)]);
  head.push(...content.map((field) => field.raw), CRLF);
  return inner.body.buffer === scratch
    ? inFront(Buffer.concat(head), inner.body)
    : Buffer.concat([...head, inner.body]);
}

function inFront(head: Buffer, body: Buffer): Buffer {
  const start = body.byteOffset - head.length;
  if (start < 0) return Buffer.concat([head, body]);
  const whole = Buffer.from(body.buffer, start, head.length + body.length);
  head.copy(whole);
  return whole;
}
