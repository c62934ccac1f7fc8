// Mail addresses in certificates. Domains compare as IDNA A-labels without case; local parts compare octet for octet:
// RFC 5280 §7.5 and RFC 5321 §2.4 leave their case to the receiving host, so `Bob@x` and `bob@x` may be two people, and
// a certificate for one must not speak for the other. Non-ASCII local parts compare by code point, unnormalised (RFC 9598 §5).
import { domainToASCII } from 'node:url';

/** Local part and A-label domain in lower case, or undefined when it is no address. */
export function splitAddress(address: string): { local: string; domain: string } | undefined {
  const at = address.lastIndexOf('@');
  if (at < 1 || at === address.length - 1) return undefined;
  const domain = asciiDomain(address.slice(at + 1));
  if (domain === '') return undefined;
  return { local: unquote(address.slice(0, at)), domain };
}

/** `"bob"@x` and `bob@x` are one address (RFC 5321 §4.1.2): quotes and escapes are only spelling. */
function unquote(local: string): string {
  if (local.length < 2 || !local.startsWith('"') || !local.endsWith('"')) return local;
  return local.slice(1, -1).replace(/\\(.)/gs, '$1');
}

/** A-label form in lower case; '' for what is no domain. Address literals stay as written, without case. */
export function asciiDomain(domain: string): string {
  const lower = domain.toLowerCase();
  if (/^\[[\x21-\x5a\x5e-\x7e]*\]$/.test(lower)) return lower;
  if (/^[a-z0-9._-]+$/.test(lower) && !lower.includes('xn--')) return lower;
  // The URL parser would read these as something else than a name.
  if (/[\x00-\x20/\\:@#?%[\]<>^|]/.test(lower)) return '';
  return domainToASCII(lower);
}

/** Whether two addresses name the same mailbox by the rules above. Malformed ones match nothing. */
export function addressesMatch(a: string, b: string): boolean {
  const left = splitAddress(a);
  const right = splitAddress(b);
  return left !== undefined && right !== undefined && left.local === right.local && left.domain === right.domain;
}
