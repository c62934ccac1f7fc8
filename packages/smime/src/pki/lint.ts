// Warnings by the CA/B Forum S/MIME Baseline Requirements (1.0.x, section 7.1) for an end-entity certificate. They tell
// an operator what other mail systems may object to; nothing here decides whether a signature holds.

import { addressesMatch, splitAddress } from './address.ts';
import type { Certificate, KeyUsage } from './certificate.ts';
import { EMAIL_ADDRESS, readName } from './name.ts';
import { ANY_POLICY, EXTENSION, PURPOSE } from './oids.ts';
import { readPolicies } from './policy.ts';
import { isWeakKey } from './purpose.ts';
import { signatureScheme } from './signature.ts';

export type LintWarning =
  | 'version-not-3'
  | 'serial-too-short'
  | 'serial-too-long'
  | 'validity-too-long'
  | 'weak-key'
  | 'weak-signature'
  | 'no-mailbox'
  | 'mailbox-malformed'
  | 'subject-mailbox-not-in-alternative-name'
  | 'no-email-protection'
  | 'forbidden-purpose'
  | 'no-key-usage'
  | 'key-usage-not-critical'
  | 'forbidden-key-usage'
  | 'no-authority-key-identifier'
  | 'no-policy'
  | 'no-revocation-pointer'
  | 'is-ca';

/** 7.1.2.3: 825 days for the strict and multipurpose generations; the legacy one (1185 days) has ended. */
const MAX_DAYS = 825;
const DAY = 86_400_000;

const FORBIDDEN_PURPOSES: ReadonlySet<string> = new Set([
  PURPOSE.any,
  PURPOSE.serverAuth,
  '1.3.6.1.5.5.7.3.3', // codeSigning
  '1.3.6.1.5.5.7.3.8', // timeStamping
]);

const FORBIDDEN_USAGES: readonly KeyUsage[] = ['keyCertSign', 'cRLSign'];

/** All rules that the certificate breaks, in the order of the table; empty is clean. */
export function lintCertificate(certificate: Certificate): LintWarning[] {
  return RULES.filter(([, broken]) => broken(certificate)).map(([warning]) => warning);
}

const RULES: readonly (readonly [LintWarning, (certificate: Certificate) => boolean])[] = [
  ['version-not-3', ({ version }) => version !== 2],
  ['serial-too-short', ({ serial }) => (serial[0] ?? 0) >= 0x80 || serial.length < 8],
  ['serial-too-long', ({ serial }) => serial.length > 20],
  ['validity-too-long', ({ notBefore, notAfter }) => Number(notAfter) - Number(notBefore) > MAX_DAYS * DAY],
  ['weak-key', isWeakKey],
  ['weak-signature', hasWeakSignature],
  ['no-mailbox', ({ addresses }) => addresses.length === 0],
  ['mailbox-malformed', ({ addresses }) => addresses.some((address) => splitAddress(address) === undefined)],
  ['subject-mailbox-not-in-alternative-name', hasStrayMailbox],
  ['no-email-protection', ({ extendedKeyUsage }) => extendedKeyUsage?.includes(PURPOSE.emailProtection) !== true],
  ['forbidden-purpose', ({ extendedKeyUsage = [] }) => extendedKeyUsage.some((oid) => FORBIDDEN_PURPOSES.has(oid))],
  ['no-key-usage', ({ keyUsage }) => keyUsage === undefined],
  ['key-usage-not-critical', ({ extensions }) => extensions.get(EXTENSION.keyUsage)?.critical === false],
  ['forbidden-key-usage', ({ keyUsage }) => FORBIDDEN_USAGES.some((usage) => keyUsage?.has(usage))],
  ['no-authority-key-identifier', ({ authorityKeyId }) => authorityKeyId === undefined],
  ['no-policy', hasNoPolicy],
  [
    'no-revocation-pointer',
    ({ extensions }) =>
      !extensions.has(EXTENSION.crlDistributionPoints) && !extensions.has(EXTENSION.authorityInfoAccess),
  ],
  ['is-ca', ({ isCa }) => isCa],
];

function hasWeakSignature(certificate: Certificate): boolean {
  const scheme = signatureScheme(certificate.signatureAlgorithm);
  return scheme === undefined || scheme.digest === 'sha1' || scheme.digest === 'sha224';
}

/** 7.1.4.2.2: a mailbox in the subject must also be in the subjectAltName. */
function hasStrayMailbox({ subjectDer, addresses }: Certificate): boolean {
  return readName(subjectDer)
    .flat()
    .some(({ type, text }) => {
      const isMailbox = type === EMAIL_ADDRESS || (type === '2.5.4.3' && text?.includes('@') === true);
      return isMailbox && !addresses.some((address) => addressesMatch(address, text ?? ''));
    });
}

/** 7.1.6.1: a policy that says how the identity was validated; anyPolicy says nothing. */
function hasNoPolicy(certificate: Certificate): boolean {
  try {
    const policies = readPolicies(certificate);
    return policies.size === 0 || policies.has(ANY_POLICY);
  } catch {
    return true;
  }
}
