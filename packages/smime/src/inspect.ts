// A cheap look at a message before anything is decided: what kind of mail, how protected, by whom (RFC 5322, RFC 3834,
// RFC 3462, RFC 3156). Types and the first octets only; no cryptography, bounded work.
import { findInnerParts, isDetachedType, isNamedObject, isObjectType, isSignatureType, partsOf } from './classify.ts';
import { typeOf } from './mime/canonical.ts';
import type { ParameterizedValue } from './mime/content-type.ts';
import { type Entity, firstValue, type HeaderField, readEntity } from './mime/header.ts';
import { MAX_MIME_DEPTH } from './mime/limits.ts';
import { parseMailboxes } from './mime/mailbox.ts';

/** `partly`: S/MIME parts amid others. `pgp`: OpenPGP in MIME or inline. */
export type Protection = 'none' | 'signed' | 'encrypted' | 'compressed' | 'certs-only' | 'partly' | 'pgp';

export interface Inspection {
  readonly protection: Protection;
  /** Lower-case media type of the whole message. */
  readonly contentType: string;
  /** An invitation or its answer: calendars break when their mail is signed or encrypted. */
  readonly isCalendar: boolean;
  /** multipart/report: delivery and disposition notifications. */
  readonly isReport: boolean;
  readonly isAutoReply: boolean;
  /** Every address of every From field. */
  readonly fromAddresses: readonly string[];
  readonly headers: readonly HeaderField[];
}

/** Octets of a text searched for inline PGP. */
const INLINE_SCAN = 64 * 1024;

/** Throws SmimeError `limit-exceeded` for a header block beyond the bounds. */
export function inspect(message: Buffer): Inspection {
  const entity = readEntity(message);
  const type = typeOf(entity.fields);
  return {
    protection: protectionOf(entity, type),
    contentType: type.value,
    isCalendar: hasType(entity, 'text/calendar', 0),
    isReport: type.value === 'multipart/report',
    isAutoReply: isAutoReply(entity.fields),
    fromAddresses: entity.fields.filter(({ name }) => name === 'from').flatMap(({ value }) => parseMailboxes(value)),
    headers: entity.fields,
  };
}

function protectionOf(entity: Entity, type: ParameterizedValue): Protection {
  if (isDetachedType(type)) return 'signed';
  if (isObjectType(type) || isSignatureType(type) || isNamedObject(entity, type)) {
    const kind = (type.parameters.get('smime-type') ?? '').toLowerCase();
    if (kind === 'signed-data') return 'signed';
    if (kind === 'certs-only') return 'certs-only';
    return kind === 'compressed-data' ? 'compressed' : 'encrypted';
  }
  if (isPgp(entity, type)) return 'pgp';
  const { signed, encrypted } = findInnerParts(entity);
  return signed || encrypted ? 'partly' : 'none';
}

function isPgp(entity: Entity, type: ParameterizedValue): boolean {
  const protocol = type.parameters.get('protocol')?.toLowerCase() ?? '';
  if (type.value === 'multipart/encrypted' || type.value === 'multipart/signed') return protocol.includes('pgp');
  if (!type.value.startsWith('text/')) return false;
  const text = entity.body.subarray(0, INLINE_SCAN);
  return text.includes('-----BEGIN PGP MESSAGE-----') || text.includes('-----BEGIN PGP SIGNED MESSAGE-----');
}

function hasType(entity: Entity, wanted: string, depth: number): boolean {
  const type = typeOf(entity.fields);
  if (type.value === wanted) return true;
  return depth < MAX_MIME_DEPTH && partsOf(entity, type).some((part) => hasType(part, wanted, depth + 1));
}

/** RFC 3834 §5 and the fields that Exchange and older responders write. */
function isAutoReply(fields: readonly HeaderField[]): boolean {
  const automatic = firstValue(fields, 'auto-submitted')?.toLowerCase();
  if (automatic !== undefined && !automatic.startsWith('no')) return true;
  if (fields.some(({ name }) => name === 'x-autoreply' || name === 'x-autorespond')) return true;
  return /^(auto_reply|auto-reply)$/i.test(firstValue(fields, 'precedence') ?? '');
}
