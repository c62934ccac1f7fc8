// What a message says about itself and a signature is held against: who it is from, and when (RFC 5322 §3.6).
import { firstValue, type HeaderField } from './mime/header.ts';
import { parseMailboxes } from './mime/mailbox.ts';

export interface MessageClaims {
  /** Addresses that the certificate must all name; undefined leaves the sender out. */
  readonly from: readonly string[] | undefined;
  readonly sender: readonly string[];
  /** Who sent it on (RFC 5322 §3.6.6): says nothing about who wrote it. */
  readonly resent: readonly string[];
  readonly sent: Date | undefined;
}

/** `from` replaces the addresses of the From fields; false leaves the sender out. */
export function readClaims(fields: readonly HeaderField[], from: string | false | undefined): MessageClaims {
  return {
    from: from === undefined ? mailboxesOf(fields, 'from') : from === false ? undefined : [from],
    sender: mailboxesOf(fields, 'sender'),
    resent: [...mailboxesOf(fields, 'resent-from'), ...mailboxesOf(fields, 'resent-sender')],
    sent: readDate(firstValue(fields, 'date')),
  };
}

function mailboxesOf(fields: readonly HeaderField[], name: string): string[] {
  return fields.filter((field) => field.name === name).flatMap((field) => parseMailboxes(field.value));
}

/** Date field as a time; undefined when it is none (it must then not deny a signature that says nothing of it). */
function readDate(value: string | undefined): Date | undefined {
  const time = value === undefined ? Number.NaN : Date.parse(value.replace(/\([^()]*\)/g, ' '));
  return Number.isNaN(time) ? undefined : new Date(time);
}
