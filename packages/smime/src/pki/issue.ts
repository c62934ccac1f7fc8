// Makes X.509 v3 certificates (RFC 5280 §4): synchronous, from a table of profiles. What may be in a certificate is a
// matter of the profile; who gets one is the caller's.
import { createHash, createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';
import { SmimeError } from '../errors.ts';
import { asciiDomain } from './address.ts';
import { type Certificate, certificateFromDer, KEY_USAGES, type KeyUsage } from './certificate.ts';
import { children, readDer, readOctetBits, TAG } from './der.ts';
import {
  algorithmIdentifier,
  bitString,
  boolean,
  explicit,
  implicit,
  integer,
  NULL,
  namedBits,
  octetString,
  oid,
  sequence,
  time,
  tlv,
  utf8String,
} from './der-write.ts';
import { SMTP_UTF8_MAILBOX } from './general-name.ts';
import { EXTENSION, PURPOSE } from './oids.ts';

type NamedProfile = 'smime' | 'smime-sign' | 'smime-encrypt' | 'ca' | 'tls-client' | 'tls-server';

/** By name, or a key that signs for a purpose of the caller's own (an OID) and is good for nothing else. */
export type CertificateProfile = NamedProfile | { readonly purpose: string };

const PURPOSES: Readonly<Record<NamedProfile, string | undefined>> = {
  smime: PURPOSE.emailProtection,
  'smime-sign': PURPOSE.emailProtection,
  'smime-encrypt': PURPOSE.emailProtection,
  ca: undefined,
  'tls-client': PURPOSE.clientAuth,
  'tls-server': PURPOSE.serverAuth,
};

/** The subject of another certificate as it stands there: its holder gets a successor. */
interface SubjectOf {
  readonly of: Certificate;
}

export interface IssueRequest {
  /** UTF-8 text. The common name must not be empty; RFC 5280 wants at most 64 characters each. */
  readonly subject: { readonly commonName: string; readonly organization?: string } | SubjectOf;
  /** RFC 5321 or 6531 addresses; domains are written as A-labels. */
  readonly addresses?: readonly string[];
  readonly uris?: readonly string[];
  readonly dnsNames?: readonly string[];
  /** IPv4 or IPv6 in text form. */
  readonly ipAddresses?: readonly string[];
  readonly publicKey: KeyObject;
  /** Unsigned big-endian, at most 20 octets; without it 16 random octets. */
  readonly serial?: Uint8Array;
  /** Whole seconds; what is below is cut off. */
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly profile: CertificateProfile;
  /** Only with profile `ca`: how many CAs may follow below. */
  readonly pathLength?: number;
  /** The private key must be the one of the certificate; `self` makes a root. */
  readonly issuer: { readonly certificate: Certificate | 'self'; readonly privateKey: KeyObject };
}

/**
 * A signed certificate. Throws SmimeError `key-mismatch` when the issuer's key is not the one of its certificate (or of
 * `publicKey` for a root), `unsupported-algorithm` for keys other than RSA, P-256/384/521, Ed25519 (subjects also X25519
 * and the like), and RangeError for names that cannot be written.
 */
export function issueCertificate(request: IssueRequest): Certificate {
  const { issuer, publicKey, subject } = request;
  const issuerKey = issuer.certificate === 'self' ? publicKey : issuer.certificate.publicKey;
  if (!createPublicKey(issuer.privateKey).equals(issuerKey)) throw new SmimeError('key-mismatch');
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  const subjectDer = subjectName(subject);
  const signature = signerFor(issuer.privateKey);
  const tbs = sequence(
    explicit(0, integer(2)),
    integer(serialOf(request.serial)),
    signature.identifier,
    issuer.certificate === 'self' ? subjectDer : issuer.certificate.subjectDer,
    sequence(time(request.notBefore), time(request.notAfter)),
    subjectDer,
    spki,
    explicit(3, sequence(...extensions(request, spki))),
  );
  return certificateFromDer(
    sequence(tbs, signature.identifier, bitString(sign(signature.digest, tbs, issuer.privateKey))),
  );
}

function serialOf(given: Uint8Array | undefined): Uint8Array {
  if (given !== undefined) {
    if (given.length > 20 || given.every((octet) => octet === 0)) throw new RangeError('serial');
    return given;
  }
  // Positive and always 16 octets, 126 bits of it random (S/MIME BR 7.1 asks for 64).
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return serial;
}

/** DER of the name. */
export function subjectName(subject: IssueRequest['subject']): Buffer {
  if ('of' in subject) return subject.of.subjectDer;
  const { commonName, organization } = subject;
  if (commonName === '') throw new RangeError('commonName');
  const attribute = (type: string, text: string): Buffer => tlv(TAG.set, sequence(oid(type), utf8String(text)));
  const common = attribute('2.5.4.3', commonName);
  return organization === undefined ? sequence(common) : sequence(attribute('2.5.4.10', organization), common);
}

/** How a key signs what is made here, by its public or private half. */
export function signerFor(key: KeyObject): { identifier: Buffer; digest: string | null } {
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return { identifier: algorithmIdentifier('1.2.840.113549.1.1.11', NULL), digest: 'sha256' };
    case 'ed25519':
      return { identifier: algorithmIdentifier('1.3.101.112'), digest: null };
    case 'ec':
      switch (key.asymmetricKeyDetails?.namedCurve) {
        case 'prime256v1':
          return { identifier: algorithmIdentifier('1.2.840.10045.4.3.2'), digest: 'sha256' };
        case 'secp384r1':
          return { identifier: algorithmIdentifier('1.2.840.10045.4.3.3'), digest: 'sha384' };
        case 'secp521r1':
          return { identifier: algorithmIdentifier('1.2.840.10045.4.3.4'), digest: 'sha512' };
      }
  }
  throw new SmimeError('unsupported-algorithm');
}

function extensions(request: IssueRequest, spki: Buffer): Buffer[] {
  const { issuer, profile } = request;
  const keyId = keyIdentifier(spki);
  const issuerKeyId = issuer.certificate === 'self' ? keyId : issuer.certificate.subjectKeyId;
  const list = [extension(EXTENSION.subjectKeyIdentifier, octetString(keyId))];
  if (issuerKeyId !== undefined) {
    list.push(extension(EXTENSION.authorityKeyIdentifier, sequence(implicit(0, issuerKeyId))));
  }
  if (profile === 'ca') {
    const length = request.pathLength === undefined ? [] : [integer(request.pathLength)];
    list.push(extension(EXTENSION.basicConstraints, sequence(boolean(true), ...length), true));
  }
  return [...list, ...askedExtensions(request)];
}

/** What a certificate says of its holder and of what its key may do. */
export function askedExtensions(request: Omit<IssueRequest, 'issuer' | 'notBefore' | 'notAfter'>): Buffer[] {
  const { profile, publicKey } = request;
  const usages = keyUsages(profile, publicKey.asymmetricKeyType ?? '');
  const bits = usages.map((usage) => KEY_USAGES.indexOf(usage));
  const purpose = typeof profile === 'string' ? PURPOSES[profile] : profile.purpose;
  const names = alternativeNames(request);
  return [
    extension(EXTENSION.keyUsage, namedBits(bits), true),
    ...(purpose === undefined ? [] : [extension(EXTENSION.extendedKeyUsage, sequence(oid(purpose)))]),
    ...(names.length > 0 ? [extension(EXTENSION.subjectAltName, sequence(...names))] : []),
  ];
}

function extension(type: string, value: Buffer, critical = false): Buffer {
  return critical ? sequence(oid(type), boolean(true), octetString(value)) : sequence(oid(type), octetString(value));
}

/** RFC 7093 §2 method 1: the leftmost 160 bits of SHA-256 over the key's BIT STRING content. */
function keyIdentifier(spki: Buffer): Buffer {
  const bits = children(readDer(spki, TAG.sequence), 2)[1];
  if (bits === undefined) throw new SmimeError('malformed-der');
  return createHash('sha256').update(readOctetBits(bits)).digest().subarray(0, 20);
}

function keyUsages(profile: CertificateProfile, keyType: string): KeyUsage[] {
  if (profile === 'ca') return ['keyCertSign', 'cRLSign'];
  if (typeof profile !== 'string' || profile.startsWith('tls-')) return ['digitalSignature'];
  const agrees = keyType === 'ec' || keyType === 'x25519' || keyType === 'x448';
  const encapsulates = keyType === 'rsa' || keyType.startsWith('ml-kem');
  const encrypts: KeyUsage[] = agrees ? ['keyAgreement'] : encapsulates ? ['keyEncipherment'] : [];
  const signs: KeyUsage[] = /^(x25519|x448|ml-kem.*)$/.test(keyType) ? [] : ['digitalSignature'];
  const usages: KeyUsage[] = [
    ...(profile === 'smime-encrypt' ? [] : signs),
    ...(profile === 'smime-sign' ? [] : encrypts),
  ];
  // A signing key asked to encrypt, or the other way round: a certificate good for nothing is a mistake.
  if (usages.length === 0) throw new SmimeError('unsupported-algorithm');
  return usages;
}

function alternativeNames({
  addresses,
  uris,
  dnsNames,
  ipAddresses,
}: Pick<IssueRequest, 'addresses' | 'uris' | 'dnsNames' | 'ipAddresses'>): Buffer[] {
  return [
    ...(addresses ?? []).map(mailbox),
    ...(dnsNames ?? []).map((dns) => implicit(2, ascii(asciiDomain(dns)))),
    ...(uris ?? []).map((uri) => implicit(6, ascii(uri))),
    ...(ipAddresses ?? []).map((ip) => implicit(7, ipOctets(ip))),
  ];
}

/** rfc822Name, or SmtpUTF8Mailbox when the local part needs it (RFC 9598 §3); the domain as A-labels in both. */
function mailbox(address: string): Buffer {
  const at = address.lastIndexOf('@');
  const local = address.slice(0, Math.max(at, 0));
  const domain = asciiDomain(address.slice(at + 1));
  if (local === '' || domain === '' || /[\x00-\x1f\x7f]/.test(local)) throw new RangeError('address');
  const text = `${local}@${domain}`;
  if (/^[\x20-\x7e]*$/.test(text)) return implicit(1, Buffer.from(text, 'latin1'));
  return explicit(0, oid(SMTP_UTF8_MAILBOX), explicit(0, utf8String(text)));
}

function ascii(text: string): Buffer {
  if (!/^[\x21-\x7e]+$/.test(text)) throw new RangeError('name');
  return Buffer.from(text, 'latin1');
}

function ipOctets(text: string): Buffer {
  const version = isIP(text);
  if (version === 4) return Buffer.from(text.split('.').map(Number));
  if (version !== 6 || text.includes('%') || text.includes('.')) throw new RangeError('ipAddress');
  const [head = '', tail] = text.split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const left = groups(head);
  const right = groups(tail ?? '');
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - left.length - right.length }, () => '0');
  return Buffer.from([...left, ...zeros, ...right].map((group) => group.padStart(4, '0')).join(''), 'hex');
}
