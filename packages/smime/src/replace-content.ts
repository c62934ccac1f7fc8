// A message with its protection taken off: the outer fields as they were, the content fields and body of the inside.
import { describesContent, type Entity, type HeaderField } from './mime/header.ts';
import { isLineSafe, sevenBitEntity } from './mime/canonical.ts';

const CRLF = Buffer.from('\r\n');

/**
 * Fields of the inside other than content fields are left out: an attacker who may choose them must not overwrite the
 * envelope's. Line ends that SMTP forbids are mended here, after the signature has been checked over what was sent.
 */
export function replaceContent(outer: readonly HeaderField[], inner: Entity): Buffer {
  const content = inner.fields.filter(describesContent);
  const versioned = content.some((field) => field.name === 'mime-version');
  const kept = outer.filter((field) => !describesContent(field) || (!versioned && field.name === 'mime-version'));
  const safe = isLineSafe(inner.raw);
  const rest = safe ? [...content.map((field) => field.raw), CRLF, inner.body] : sevenBitEntity(content, inner.body);
  return Buffer.concat([...kept.map((field) => field.raw), ...rest]);
}
