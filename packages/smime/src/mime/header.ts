// Header fields byte by byte (RFC 5322 §2.2, RFC 6532): every octet of the header block belongs to exactly one
// field's `raw`, so concatenating the fields gives the block back.
import { SmimeError } from '../errors.ts';
import { type ParameterizedValue, parseParameterized } from './content-type.ts';
import { MAX_HEADER_BYTES, MAX_HEADER_FIELDS } from './limits.ts';

export interface HeaderField {
  /** Lower-case field name; empty for a line that is no field (mbox `From `, garbage). */
  readonly name: string;
  /** The field as received, folds and line end included. */
  readonly raw: Buffer;
  /** Field body, unfolded and trimmed, read as UTF-8. */
  readonly value: string;
  /** The value as one with parameters: Content-Type, Content-Disposition. */
  readonly parameterized: ParameterizedValue;
}

/** A MIME entity: its fields, the empty line, and the body. All are views of the input. */
export interface Entity {
  readonly fields: readonly HeaderField[];
  readonly body: Buffer;
  /** The entity as received. */
  readonly raw: Buffer;
}

const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;
const NAME = /^([!-9;-~]+)[ \t]*:$/;

/** Reads the fields in front of the body. Throws SmimeError `limit-exceeded`. */
export function readHeaders(message: Buffer): HeaderField[] {
  return scanHeader(message).fields;
}

/** Splits an entity at its first empty line. Without one, everything is header and the body is empty. */
export function readEntity(raw: Buffer): Entity {
  const { fields, bodyOffset } = scanHeader(raw);
  return { fields, body: raw.subarray(bodyOffset), raw };
}

/** Decrypted or signed octets as an entity: text that does not begin with a field is all body. */
export function readContent(raw: Buffer): Entity {
  const entity = readEntity(raw);
  return entity.fields[0]?.name === '' ? { fields: [], body: raw, raw } : entity;
}

function scanHeader(bytes: Buffer): { fields: HeaderField[]; bodyOffset: number } {
  const fields: HeaderField[] = [];
  let start = 0;
  while (start < bytes.length) {
    if (bytes[start] === LF) return { fields, bodyOffset: start + 1 };
    if (bytes[start] === CR && bytes[start + 1] === LF) return { fields, bodyOffset: start + 2 };
    const end = endOfField(bytes, start);
    if (end > MAX_HEADER_BYTES || fields.length === MAX_HEADER_FIELDS) throw new SmimeError('limit-exceeded');
    fields.push(new Field(bytes.subarray(start, end)));
    start = end;
  }
  return { fields, bodyOffset: bytes.length };
}

/** A field ends at the line end that no white space follows. */
function endOfField(bytes: Buffer, start: number): number {
  let at = start;
  for (;;) {
    const lineEnd = bytes.indexOf(LF, at);
    if (lineEnd === -1) return bytes.length;
    const next = bytes[lineEnd + 1];
    if (next !== 0x20 && next !== 0x09) return lineEnd + 1;
    at = lineEnd + 1;
  }
}

/** Values are read when they are asked for, and once: of most fields nobody wants more than the name. */
class Field implements HeaderField {
  readonly name: string;
  readonly raw: Buffer;
  readonly #valueStart: number;
  #value: string | undefined;
  #parameterized: ParameterizedValue | undefined;

  constructor(raw: Buffer) {
    const colon = raw.indexOf(COLON);
    const match = NAME.exec(raw.toString('latin1', 0, colon + 1));
    this.name = match?.[1]?.toLowerCase() ?? '';
    this.raw = raw;
    this.#valueStart = match === null ? 0 : colon + 1;
  }

  get value(): string {
    this.#value ??= this.raw
      .toString('utf8', this.#valueStart)
      .replace(/\r?\n(?=[ \t])/g, '')
      .trim();
    return this.#value;
  }

  get parameterized(): ParameterizedValue {
    this.#parameterized ??= parseParameterized(this.value);
    return this.#parameterized;
  }
}

/** Value of the first field of that name. */
export function firstValue(fields: readonly HeaderField[], name: string): string | undefined {
  return fields.find((field) => field.name === name)?.value;
}

/** Fields that describe the content (RFC 2045): they travel with the body; all others stay with the message. */
export function describesContent(field: HeaderField): boolean {
  return field.name.startsWith('content-') || field.name === 'mime-version';
}
