// The outermost layer of CMS (RFC 5652 §3) and the forms in which a bare object arrives: BER, PEM, base64.
import { SmimeError } from '../errors.ts';
import { context, readOid, TAG } from '../pki/der.ts';
import { BerCursor, type BerNode, enterBer } from './ber.ts';

export interface ContentInfo {
  /** OID of the content type. */
  readonly type: string;
  /** The content itself, inside the explicit [0]; absent in a degenerate object. */
  readonly content: BerNode | undefined;
}

/** Reads a ContentInfo; octets behind it are ignored. Throws SmimeError `malformed-cms`. */
export function readContentInfo(bytes: Buffer): ContentInfo {
  const outer = enterBer(new BerCursor(bytes).next(TAG.sequence));
  const type = readOid(outer.next(TAG.oid));
  const wrapped = outer.optional(context(0, true));
  return { type, content: wrapped === undefined ? undefined : enterBer(wrapped).next() };
}

const BEGIN = /-----BEGIN [A-Z0-9 #]{1,40}-----\s/;

/** Whether these octets are a bare object, rather than a message that carries one. */
export function isObject(bytes: Buffer): boolean {
  if (bytes[0] === TAG.sequence) return true;
  const head = bytes.subarray(0, 4096).toString('latin1');
  return (
    /^-----BEGIN (CMS|PKCS7|PKCS #7 SIGNED DATA|SIGNED MESSAGE|ENCRYPTED MESSAGE)-----\s/m.test(head) ||
    /^\s*M[A-Za-z0-9+/=\s]+$/.test(head)
  );
}

/** Octets of an object given as BER, PEM or bare base64. Throws SmimeError `malformed-cms`. */
export function decodeObject(bytes: Buffer): Buffer {
  if (bytes[0] === TAG.sequence) return bytes;
  const head = BEGIN.exec(bytes.subarray(0, 4096).toString('latin1'));
  const start = head === null ? 0 : head.index + head[0].length;
  const end = head === null ? bytes.length : bytes.indexOf('-----END', start);
  const decoded = Buffer.from(bytes.toString('latin1', start, end === -1 ? bytes.length : end), 'base64');
  if (decoded[0] !== TAG.sequence) throw new SmimeError('malformed-cms');
  return decoded;
}
