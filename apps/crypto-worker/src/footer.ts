// The footer: a short text in content whose signature we removed, in the first readable text part and its HTML counterpart. Charset
// and transfer encoding are respected; never into anything still signed or encrypted. Where it cannot be placed safely, none is.

import { isAscii } from 'node:buffer';
import {
  boundaryOf,
  decodeTransfer,
  type Entity,
  encodeBase64,
  encodeQuotedPrintable,
  firstValue,
  type ParameterizedValue,
  parseParameterized,
  readEntity,
  readMultipart,
  typeOf,
} from '@sealpost/smime';

/** Alternatives inside related inside mixed; nothing that people write is deeper. */
const maxDepth = 8;

/** Charsets in which an ASCII text at a line start reads as itself. */
const asciiCompatible =
  /^(us-ascii|utf-8|iso-8859-\d{1,2}|windows-125\d|koi8-[ru]|gb2312|gbk|gb18030|big5|shift_jis|euc-(jp|kr)|iso-2022-jp)$/;

/** The message with the text in it, or undefined where there is no safe place. */
export function withFooter(message: Buffer, text: string): Buffer | undefined {
  return place(message, text, 0);
}

function place(raw: Buffer, text: string, depth: number): Buffer | undefined {
  const entity = readEntity(raw);
  const type = typeOf(entity.fields);
  if (depth > maxDepth || isAttachment(entity)) return undefined;
  switch (type.value) {
    case 'text/plain':
    case 'text/html':
      return placeInText(entity, type, text);
    case 'multipart/signed':
    case 'multipart/encrypted':
      return undefined;
    default:
      return type.value.startsWith('multipart/') ? placeInParts(entity, type, text, depth) : undefined;
  }
}

/** Every readable one of alternatives says the same, so each gets the text; of other parts the first that can take it. */
function placeInParts(entity: Entity, type: ParameterizedValue, text: string, depth: number): Buffer | undefined {
  const boundary = boundaryOf(type);
  if (boundary === undefined) return undefined;
  const { preamble, parts, delimiters, epilogue } = readMultipart(entity.body, boundary);
  const isAlternative = type.value === 'multipart/alternative';
  let placed = false;
  const edited = parts.map((part) => {
    if (placed && !isAlternative) return part;
    const changed = place(part, text, depth + 1);
    placed ||= changed !== undefined;
    return changed ?? part;
  });
  if (!placed) return undefined;
  const pieces = delimiters.flatMap((delimiter, index) => [delimiter, edited[index] ?? Buffer.alloc(0)]);
  return Buffer.concat([headerOf(entity), preamble, ...pieces, epilogue]);
}

function placeInText(entity: Entity, type: ParameterizedValue, text: string): Buffer | undefined {
  const charset = (type.parameters.get('charset') ?? 'us-ascii').toLowerCase();
  const encoding = (firstValue(entity.fields, 'content-transfer-encoding') ?? '7bit').trim().toLowerCase();
  const decoded = decodeTransfer(entity.body, encoding);
  const written = type.value === 'text/html' ? html(text) : `\r\n${text.replace(/\r?\n/g, '\r\n')}\r\n`;
  const bytes = inCharset(written, charset);
  if (!bytes) {
    // ASCII is a part of UTF-8, so such a part may become UTF-8; other charsets are left alone.
    const asUtf8 = charset === 'us-ascii' && isAscii(decoded) && isIdentity(encoding, decoded);
    return asUtf8 ? asQuotedUtf8(entity, type, insert(decoded, Buffer.from(written), type)) : undefined;
  }
  const edited = insert(decoded, bytes, type);
  switch (encoding) {
    case 'base64':
      return Buffer.concat([headerOf(entity), encodeBase64(edited)]);
    case 'quoted-printable':
      return Buffer.concat([headerOf(entity), encodeQuotedPrintable(edited)]);
    case '8bit':
      return Buffer.concat([headerOf(entity), edited]);
    case '7bit':
      if (isAscii(edited)) return Buffer.concat([headerOf(entity), edited]);
      return isAscii(decoded) && charset === 'utf-8' ? asQuotedUtf8(entity, type, edited) : undefined;
    default:
      return undefined;
  }
}

function isIdentity(encoding: string, decoded: Buffer): boolean {
  return encoding === '7bit' || encoding === '8bit' || (encoding === 'quoted-printable' && isAscii(decoded));
}

/** Before the end of an HTML body, else after everything. */
function insert(body: Buffer, text: Buffer, type: ParameterizedValue): Buffer {
  const end = type.value === 'text/html' ? endOfHtml(body) : body.length;
  const head = body.subarray(0, end);
  const gap = end === body.length && !head.subarray(-2).equals(Buffer.from('\r\n')) ? '\r\n' : '';
  return Buffer.concat([head, Buffer.from(gap), text, body.subarray(end)]);
}

function endOfHtml(body: Buffer): number {
  const lower = body.toString('latin1').toLowerCase();
  const close = Math.max(lower.lastIndexOf('</body'), -1);
  if (close >= 0) return close;
  const html = lower.lastIndexOf('</html');
  return html >= 0 ? html : body.length;
}

function html(text: string): string {
  const escaped = text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`).replace(/\r?\n/g, '<br>\r\n');
  return `<hr><p>${escaped}</p>\r\n`;
}

/** The text in a charset, or undefined where it cannot be written there for sure. */
function inCharset(text: string, charset: string): Buffer | undefined {
  if (charset === 'utf-8') return Buffer.from(text);
  if (!asciiCompatible.test(charset)) return undefined;
  if (/^[\x00-\x7f]*$/.test(text)) return Buffer.from(text, 'latin1');
  const isLatin = charset === 'iso-8859-1' || charset === 'windows-1252';
  return isLatin && /^[\x00-\x7f\xa0-\xff]*$/.test(text) ? Buffer.from(text, 'latin1') : undefined;
}

/** The part as quoted-printable UTF-8; its other parameters and fields stay. */
function asQuotedUtf8(entity: Entity, type: ParameterizedValue, body: Buffer): Buffer {
  const parameters = [...type.parameters].filter(([name]) => name !== 'charset');
  const written = parameters.map(([name, value]) => `;\r\n ${name}="${value.replace(/["\\]/g, '\\$&')}"`).join('');
  const described = ['content-type', 'content-transfer-encoding'];
  return Buffer.concat([
    ...entity.fields.filter(({ name }) => !described.includes(name)).map(({ raw }) => raw),
    Buffer.from(`Content-Type: ${type.value}; charset=utf-8${written}\r\n`),
    Buffer.from('Content-Transfer-Encoding: quoted-printable\r\n\r\n'),
    encodeQuotedPrintable(body),
  ]);
}

function isAttachment({ fields }: Entity): boolean {
  const disposition = firstValue(fields, 'content-disposition');
  return disposition !== undefined && parseParameterized(disposition).value === 'attachment';
}

/** Everything above the body, the empty line included. */
function headerOf(entity: Entity): Buffer {
  return entity.raw.subarray(0, entity.raw.length - entity.body.length);
}
