// Step `classify`: what a message is, by the engine's bounded MIME scan. Nothing is decrypted or verified here.

import { type Exemption, fail, type InboundFacts } from '@sealpost/core';
import {
  boundaryOf,
  type Inspection,
  inspect,
  parseMailboxes,
  readEntity,
  readMultipart,
  SmimeError,
  typeOf,
} from '@sealpost/smime';
import type { Loaded } from './load.ts';

export interface Classification {
  /** Its structure is broken or beyond the limits: clients would disagree about what was signed. */
  readonly malformed: boolean;
  /** Every kind of mail to be left alone that it is. */
  readonly exemptions: readonly Exemption[];
  readonly protection: InboundFacts['protection'];
  /** Addresses in To and Cc. */
  readonly visibleRecipients: readonly string[];
  readonly from: readonly string[];
}

export interface Classified extends Loaded {
  readonly classification: Classification;
}

export function classify(loaded: Loaded): Classified {
  return { ...loaded, classification: classificationOf(loaded.message) };
}

/** Throws nothing: what cannot be read is malformed. */
export function classificationOf(message: Buffer): Classification {
  try {
    const inspection = inspect(message);
    return {
      malformed: isMalformed(message, inspection),
      exemptions: exemptionsOf(inspection),
      protection: protectionOf(message, inspection),
      visibleRecipients: inspection.headers
        .filter(({ name }) => name === 'to' || name === 'cc')
        .flatMap(({ value }) => parseMailboxes(value)),
      from: inspection.fromAddresses,
    };
  } catch (error) {
    if (!(error instanceof SmimeError)) throw fail('internal', error);
    return { malformed: true, exemptions: [], protection: 'none', visibleRecipients: [], from: [] };
  }
}

/** One reader must not see another message than the next: no field twice that describes the content, no multipart without parts. */
function isMalformed(message: Buffer, { headers }: Inspection): boolean {
  const twice = ['content-type', 'content-transfer-encoding', 'mime-version'].some(
    (name) => headers.filter((field) => field.name === name).length > 1,
  );
  if (twice || headers.some(({ name }) => name === '')) return true;
  const type = typeOf(headers);
  if (!type.value.startsWith('multipart/')) return false;
  const boundary = boundaryOf(type);
  return boundary === undefined || readMultipart(readEntity(message).body, boundary).parts.length === 0;
}

function exemptionsOf({ protection, isCalendar, isReport, isAutoReply }: Inspection): Exemption[] {
  const isProtected = protection === 'signed' || protection === 'encrypted' || protection === 'certs-only';
  const kinds: Record<Exemption, boolean> = {
    protected: isProtected,
    pgp: protection === 'pgp',
    calendar: isCalendar,
    report: isReport,
    'auto-reply': isAutoReply,
  };
  return (Object.keys(kinds) as Exemption[]).filter((kind) => kinds[kind]);
}

/**
 * What can matter for keys. An opaque signature may hold something encrypted that no scan sees; S/MIME parts amid others are
 * reported on and never opened, like clear-signed mail.
 */
function protectionOf(message: Buffer, { protection, contentType }: Inspection): InboundFacts['protection'] {
  switch (protection) {
    case 'none':
    case 'pgp':
      return 'none';
    case 'signed':
      return contentType === 'multipart/signed' && !holdsEncrypted(message) ? 'signed' : 'encrypted';
    case 'certs-only':
    case 'partly':
      return 'signed';
    case 'encrypted':
    case 'compressed':
      return 'encrypted';
  }
}

/** Whether the signed part of a multipart/signed is itself a CMS object (RFC 2634 §1.1, triple wrapping). */
function holdsEncrypted(message: Buffer): boolean {
  const entity = readEntity(message);
  const boundary = boundaryOf(typeOf(entity.fields));
  const [content] = boundary === undefined ? [] : readMultipart(entity.body, boundary).parts;
  const inner = content === undefined ? 'none' : inspect(content).protection;
  return inner === 'encrypted' || inner === 'compressed';
}
