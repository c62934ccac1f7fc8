// Header fields that only the gateway may write: `X-Sealpost-*` and the configured subject tags. Whatever a sender wrote under these
// names is taken out before anything else happens to inbound mail, so a reader can rely on what is there afterwards.

import { fail, type InboundPolicy, loopField } from '@sealpost/core';
import { type HeaderField, readHeaders, SmimeError } from '@sealpost/smime';
import { withoutTags, withTag } from './subject.ts';

const ownPrefix = 'x-sealpost-';
/** Stays: it is MACed, so a forged one is known as such, and the egress needs it to find loops. */
const kept = loopField.toLowerCase();

/** The message without forged fields and tags; the same buffer where it has none. Errors: `message-malformed`. */
export function withoutForged(message: Buffer, { subjectTag }: Pick<InboundPolicy, 'subjectTag'>): Buffer {
  const tags = [subjectTag.verified, subjectTag.decrypted];
  return mapFields(message, (field) => {
    if (field.name.startsWith(ownPrefix) && field.name !== kept) return undefined;
    return field.name === 'subject' ? withoutTags(field.raw, field.value, tags) : field.raw;
  });
}

/** The message with `tag` before its subject. */
export function withSubjectTag(message: Buffer, tag: string): Buffer {
  if (tag === '') return message;
  let tagged = false;
  return mapFields(message, (field) => {
    if (field.name !== 'subject' || tagged) return field.raw;
    tagged = true;
    return withTag(field.raw, tag);
  });
}

/** The message with one more field at its very top; `field` without line end. */
export function withFieldOnTop(message: Buffer, field: string): Buffer {
  return Buffer.concat([Buffer.from(`${field}\r\n`), message]);
}

/** A header section beyond the limits cannot be cleaned, so such mail waits for a person. */
function fieldsOf(message: Buffer): HeaderField[] {
  try {
    return readHeaders(message);
  } catch (error) {
    throw error instanceof SmimeError ? fail('message-malformed', error) : error;
  }
}

function mapFields(message: Buffer, map: (field: HeaderField) => Buffer | undefined): Buffer {
  const fields = fieldsOf(message);
  const mapped = fields.map(map);
  if (mapped.every((raw, index) => raw === fields[index]?.raw)) return message;
  const length = fields.reduce((sum, { raw }) => sum + raw.length, 0);
  return Buffer.concat([...mapped.filter((raw) => raw !== undefined), message.subarray(length)]);
}
