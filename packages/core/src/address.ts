// Mail addresses as the gateway compares them: domains without regard to case, local parts without regard to case for finding a
// mailbox of our own (RFC 5321 §2.4 lets the owner of a domain decide; no known operator tells `Bob` from `bob`).

/** Longest path of RFC 5321 §4.5.3.1.3. */
const maxAddress = 256;

/** The domain after the last `@`, lower case; the empty string where there is none. */
export function domainOf(address: string): string {
  const at = address.lastIndexOf('@');
  return at < 0 ? '' : address.slice(at + 1).toLowerCase();
}

/** The form under which identities and recipients are looked up. */
export function normalAddress(address: string): string {
  return address.toLowerCase();
}

/** Rough form of an address: one local part, one domain, no control characters, spaces or brackets, bounded. */
export function isAddress(text: string): boolean {
  return text.length <= maxAddress && /^[^\s@<>\p{Cc}]+@[^\s@<>\p{Cc}]+$/u.test(text);
}
