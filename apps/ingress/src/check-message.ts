// What a message must look like before the gateway answers for it (RFC 5322 §3.6): a header section that everybody reads alike,
// not yet a hundred hops, and outbound exactly one author, because that is who the gateway signs for.

import { fail } from '@sealpost/core';
import { type HeaderField, parseMailboxes, readHeaders } from '@sealpost/smime';

/** RFC 5321 §6.3 asks for a large number, at least 100. */
const maxHops = 100;
/** One name and one address are far shorter. */
const maxFrom = 4096;

/** The fields of the header section. Errors: `headers-malformed`, `too-many-hops`. */
export function checkHeaders(message: Buffer): HeaderField[] {
  let fields: HeaderField[];
  try {
    fields = readHeaders(message);
  } catch (error) {
    throw fail('headers-malformed', error);
  }
  if (fields.filter(({ name }) => name === 'received').length >= maxHops) throw fail('too-many-hops');
  return fields;
}

/**
 * The one author's address, its domain in lower case. A line that is no field is refused here: some software ends the header
 * section there, and would show another From than the one that was checked.
 * Errors: `headers-malformed`, `from-missing`, `from-multiple`.
 */
export function oneAuthor(fields: readonly HeaderField[]): string {
  if (fields.some(({ name }) => name === '')) throw fail('headers-malformed');
  const [from, ...others] = fields.filter(({ name }) => name === 'from');
  if (!from) throw fail('from-missing');
  if (others.length > 0 || from.value.length > maxFrom) throw fail('from-multiple');
  const [address, ...more] = parseMailboxes(from.value);
  if (address === undefined) throw fail('from-missing');
  if (more.length > 0 || !isOneMailbox(from.value)) throw fail('from-multiple');
  const at = address.lastIndexOf('@');
  return `${address.slice(0, at)}@${address.slice(at + 1).toLowerCase()}`;
}

/**
 * `address` or `name <address>` and nothing else. A lenient reader skips what it cannot read, and skips it differently than the
 * recipient's: `<a@ours> <b@theirs>`, groups, routes, a second address in the name, an open quote, nested comments.
 */
function isOneMailbox(value: string): boolean {
  const skeleton = value.replace(quotedOrComment, (text) => (text.startsWith('"') ? 'q' : ' '));
  return named.test(skeleton) || bare.test(skeleton);
}

const quotedOrComment = /"(?:[^"\\]|\\.)*"|\((?:[^()\\]|\\.)*\)/gs;
const named = /^[^<>@,:;()"\\]*<[^<>@,:;()"\\]+@[^<>@,:;()"\\]+>\s*$/;
const bare = /^\s*[^\s<>@,:;()"\\]+\s*@\s*[^\s<>@,:;()"\\]+\s*$/;
