// Distinguished names: comparison by RFC 5280 §7.1 (string preparation, case, white space, string type ignored)
// and a readable form after RFC 4514.
import { children, type DerNode, readDer, readOid, readText, TAG } from './der.ts';

/** Relative names in one name at most; real names have under twenty. */
const MAX_RDNS = 128;

const SHORT: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.4': 'SN',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'street',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '2.5.4.12': 'title',
  '2.5.4.42': 'GN',
  '2.5.4.65': 'pseudonym',
  '2.5.4.97': 'organizationIdentifier',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.25': 'DC',
  '1.2.840.113549.1.9.1': 'emailAddress',
};

export const EMAIL_ADDRESS = '1.2.840.113549.1.9.1';

export interface NameAttribute {
  readonly type: string;
  /** Text, or undefined when the value is no string type or does not decode. */
  readonly text: string | undefined;
  readonly value: DerNode;
}

const STRING_TAGS: ReadonlySet<number> = new Set([
  TAG.utf8String,
  TAG.printableString,
  TAG.teletexString,
  TAG.ia5String,
  TAG.visibleString,
  TAG.universalString,
  TAG.bmpString,
  0x12,
]);

/** The relative names of a Name in order, each a list of attributes. */
export function readName(nameDer: Buffer): NameAttribute[][] {
  return children(readDer(nameDer, TAG.sequence), MAX_RDNS).map((rdn) =>
    children(rdn, MAX_RDNS).map((attribute) => {
      const [type, value] = children(attribute, 2);
      if (type === undefined || value === undefined) return { type: '', text: undefined, value: attribute };
      return { type: readOid(type), text: textOf(value), value };
    }),
  );
}

/** CAs have put Latin-1 into every string type: such a value has no text and compares by its encoding. */
function textOf(value: DerNode): string | undefined {
  if (!STRING_TAGS.has(value.tag)) return undefined;
  try {
    return readText(value);
  } catch {
    return undefined;
  }
}

/**
 * One key for each relative name: equal keys mean equal names. White space is trimmed and runs are one space, letters
 * are case-folded after NFKC; values without text compare by encoding. A name lies within another
 * (name constraints) when the other's keys are a prefix.
 */
export function nameKeys(nameDer: Buffer): string[] {
  return readName(nameDer).map((rdn) => rdn.map(attributeKey).sort().join('+'));
}

function attributeKey({ type, text, value }: NameAttribute): string {
  if (text === undefined) return `${type}#${value.bytes.toString('hex')}`;
  // Quotes keep a value that contains `+` or `,` from posing as two attributes.
  return `${type}=${JSON.stringify(text.normalize('NFKC').toLowerCase().replace(/\s+/gu, ' ').trim())}`;
}

/** `CN=Alice,O=Example` as RFC 4514: last relative name first, special characters escaped. */
export function nameString(nameDer: Buffer): string {
  return readName(nameDer)
    .reverse()
    .map((rdn) => rdn.map(attributeString).join('+'))
    .join(',');
}

function attributeString({ type, text, value }: NameAttribute): string {
  const label = SHORT[type] ?? type;
  if (text === undefined) return `${label}=#${value.bytes.toString('hex')}`;
  const escaped = text
    .replace(/[\\",+;<>]/g, '\\$&')
    .replace(/^[ #]/, '\\$&')
    .replace(/ $/, '\\ ')
    .replace(/[\x00-\x1f\x7f]/g, (c) => `\\${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return `${label}=${escaped}`;
}
