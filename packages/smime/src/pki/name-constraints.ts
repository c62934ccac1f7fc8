// Name constraints (RFC 5280 §4.2.1.10, RFC 9598 §6 for SmtpUTF8Mailbox). Every CA's permitted subtrees must hold, which
// is the intersection the RFC asks for; one excluded subtree anywhere refuses. A form that is constrained but not
// understood refuses any certificate that has a name of that form.
import { asciiDomain, splitAddress } from './address.ts';
import type { Certificate } from './certificate.ts';
import { context, DerCursor, enter, readDer, TAG } from './der.ts';
import { type GeneralName, readGeneralName } from './general-name.ts';
import { EMAIL_ADDRESS, nameKeys, readName } from './name.ts';
import { EXTENSION } from './oids.ts';

/** Names × constraints compared for one path at most (quadratic otherwise; honest certificates need a few hundred). */
const MAX_COMPARISONS = 1 << 16;

export interface NameConstraints {
  readonly permitted: readonly GeneralName[];
  readonly excluded: readonly GeneralName[];
}

/** The extension of one CA, or undefined. Throws on malformed ones and on minimum or maximum (§4.2.1.10 forbids them). */
export function readNameConstraints(certificate: Certificate): NameConstraints | undefined {
  const extension = certificate.extensions.get(EXTENSION.nameConstraints);
  if (extension === undefined) return undefined;
  const cursor = enter(readDer(extension.value, TAG.sequence));
  const permitted = cursor.optional(context(0, true));
  const excluded = cursor.optional(context(1, true));
  cursor.end();
  return { permitted: readSubtrees(permitted?.content), excluded: readSubtrees(excluded?.content) };
}

function readSubtrees(content: Buffer | undefined): GeneralName[] {
  const bases: GeneralName[] = [];
  if (content === undefined) return bases;
  const cursor = new DerCursor(content);
  while (!cursor.done) {
    const subtree = enter(cursor.next(TAG.sequence));
    bases.push(readGeneralName(subtree.next()));
    subtree.end();
  }
  return bases;
}

/** Whether all names of the certificate, the subject and its e-mail attributes among them, respect all constraints. */
export function namesAllowed(certificate: Certificate, constraints: readonly NameConstraints[]): boolean {
  if (constraints.length === 0) return true;
  const names = constrainedNames(certificate);
  const bases = constraints.reduce((sum, { permitted, excluded }) => sum + permitted.length + excluded.length, 0);
  if (names.length * bases > MAX_COMPARISONS) return false;
  return names.every((name) =>
    constraints.every(({ permitted, excluded }) => {
      const forms = permitted.filter((base) => sameForm(name, base));
      if (forms.length > 0 && !forms.some((base) => within(name, base, false))) return false;
      return !excluded.some((base) => sameForm(name, base) && within(name, base, true));
    }),
  );
}

function constrainedNames(certificate: Certificate): GeneralName[] {
  const subject = readName(certificate.subjectDer);
  const keys = nameKeys(certificate.subjectDer);
  const directory: GeneralName[] = keys.length > 0 ? [{ kind: 'directory', keys }] : [];
  const emails = subject.flat().flatMap(({ type, text }): GeneralName[] => {
    return type === EMAIL_ADDRESS ? [{ kind: 'rfc822', value: text ?? '' }] : [];
  });
  return [...directory, ...emails, ...certificate.subjectAltNames];
}

function sameForm(name: GeneralName, base: GeneralName): boolean {
  if (name.kind === 'smtp-utf8') return base.kind === 'rfc822' || base.kind === 'smtp-utf8';
  if (name.kind === 'other') return base.kind === 'other' && base.tag === name.tag;
  return name.kind === base.kind;
}

/** `doubt` is the answer for what cannot be compared: false while looking for permission, true for exclusion. */
function within(name: GeneralName, base: GeneralName, doubt: boolean): boolean {
  switch (name.kind) {
    case 'directory':
      return base.kind === 'directory' && isPrefix(base.keys, name.keys);
    case 'rfc822':
    case 'smtp-utf8':
      return base.kind === 'rfc822' ? mailboxWithin(name.value, base.value, doubt) : doubt;
    case 'dns':
      return base.kind === 'dns' ? dnsWithin(name.value, base.value) : doubt;
    case 'uri':
      return base.kind === 'uri' ? uriWithin(name.value, base.value, doubt) : doubt;
    case 'ip':
      return base.kind === 'ip' ? ipWithin(name.bytes, base.bytes, doubt) : doubt;
    default:
      return doubt;
  }
}

function isPrefix(shorter: readonly string[], longer: readonly string[]): boolean {
  return shorter.length <= longer.length && shorter.every((key, i) => key === longer[i]);
}

/** A mailbox, a host, or with a leading period everything below a domain. */
function mailboxWithin(address: string, base: string, doubt: boolean): boolean {
  const mailbox = splitAddress(address);
  if (mailbox === undefined) return doubt;
  // `@host` is no form of the RFC, but CAs write it and mean the host.
  if (base.startsWith('@')) return hostWithin(mailbox.domain, base.slice(1));
  if (base.includes('@')) {
    const only = splitAddress(base);
    return only === undefined ? doubt : only.local === mailbox.local && only.domain === mailbox.domain;
  }
  return hostWithin(mailbox.domain, base);
}

function hostWithin(host: string, base: string): boolean {
  if (base === '') return true;
  if (base.startsWith('.')) return host.endsWith(`.${asciiDomain(base.slice(1))}`);
  return host === asciiDomain(base);
}

/** Zero or more labels to the left of the constraint. */
function dnsWithin(name: string, base: string): boolean {
  const host = name.toLowerCase();
  const suffix = base.toLowerCase().replace(/^\./, '');
  return suffix === '' || host === suffix || host.endsWith(`.${suffix}`);
}

/** Only URIs with a host name can be compared (§4.2.1.10). */
function uriWithin(uri: string, base: string, doubt: boolean): boolean {
  const authority = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(uri)?.[1];
  const host = authority?.replace(/^.*@/, '').replace(/:\d*$/, '').toLowerCase() ?? '';
  if (host === '' || host.startsWith('[') || /^[\d.]+$/.test(host)) return doubt;
  return hostWithin(host, base);
}

function ipWithin(address: Buffer, base: Buffer, doubt: boolean): boolean {
  // An IPv4 address is simply outside an IPv6 range.
  if (base.length !== 8 && base.length !== 32) return doubt;
  const size = base.length / 2;
  if (address.length !== size) return false;
  return address.every((octet, i) => (octet & (base[size + i] ?? 0)) === ((base[i] ?? 0) & (base[size + i] ?? 0)));
}
