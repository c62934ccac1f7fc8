// GeneralName (RFC 5280 §4.2.1.6) with the SmtpUTF8Mailbox of RFC 9598 as a kind of its own.
import { children, context, type DerNode, readDer, readOid, readText, TAG } from './der.ts';
import { nameKeys } from './name.ts';

/** Names in one GeneralNames at most. */
const MAX_NAMES = 1024;

export const SMTP_UTF8_MAILBOX = '1.3.6.1.5.5.7.8.9';

export type GeneralName =
  | { readonly kind: 'rfc822' | 'smtp-utf8' | 'dns' | 'uri'; readonly value: string }
  /** Comparison keys of the relative names, see nameKeys. */
  | { readonly kind: 'directory'; readonly keys: readonly string[] }
  | { readonly kind: 'ip'; readonly bytes: Buffer }
  | { readonly kind: 'other'; readonly tag: number; readonly bytes: Buffer };

export function readGeneralNames(node: DerNode): GeneralName[] {
  return children(node, MAX_NAMES).map(readGeneralName);
}

export function readGeneralName(node: DerNode): GeneralName {
  switch (node.tag) {
    case context(0, true):
      return readOtherName(node);
    case context(1):
      return { kind: 'rfc822', value: ascii(node) };
    case context(2):
      return { kind: 'dns', value: ascii(node) };
    case context(4, true):
      return { kind: 'directory', keys: nameKeys(node.content) };
    case context(6):
      return { kind: 'uri', value: ascii(node) };
    case context(7):
      return { kind: 'ip', bytes: node.content };
    default:
      return { kind: 'other', tag: node.tag, bytes: node.bytes };
  }
}

function readOtherName(node: DerNode): GeneralName {
  const [type, value] = children(node, 2);
  if (type !== undefined && value !== undefined && readOid(type) === SMTP_UTF8_MAILBOX) {
    return { kind: 'smtp-utf8', value: readText(readDer(value.content, TAG.utf8String)) };
  }
  return { kind: 'other', tag: node.tag, bytes: node.bytes };
}

/** '' for what is not ASCII: such a name matches nothing, and fails wherever its form is constrained. */
function ascii({ content }: DerNode): string {
  return content.every((octet) => octet < 0x80) ? content.toString('latin1') : '';
}
